"""The model: what it says to a table, as columns beside those of the table.

Any model of MLflow's, by its ``python_function`` flavour.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow import pyfunc
from mlflow.types import DataType

PREDICTION = "prediction"
COLUMNS = 2
"""Dimensions of a prediction with several values a row."""
TYPES = {
    DataType.boolean: pa.bool_(),
    DataType.integer: pa.int32(),
    DataType.long: pa.int64(),
    DataType.float: pa.float32(),
    DataType.double: pa.float64(),
    DataType.string: pa.string(),
    DataType.datetime: pa.timestamp("ns"),
}
"""What a signature calls them, and what a CSV does not say: 5 may be a whole number or not."""


class Predictor:
    """A model that is loaded."""

    def __init__(self, folder: Path) -> None:
        model = pyfunc.load_model(str(folder))
        self._predict: Callable[[pd.DataFrame], Any] = model.predict
        self.types: Mapping[str, pa.DataType] = _types(model)
        """Of the columns that its signature names."""

    def scored(self, table: pa.Table) -> pa.Table:
        """The table with what the model says to it; its own columns stay as they are."""
        rows = table.to_pandas(ignore_metadata=True)
        said = columns(self._predict(rows))
        # What libraries warn of they would say again to each part.
        warnings.simplefilter("ignore")
        if len(said) != table.num_rows:
            raise ValueError(f"{table.num_rows} rows have got {len(said)} predictions")
        for name in said.columns:
            if name in table.column_names:
                raise ValueError(f"there is a column {name!r} before it is scored")
            table = table.append_column(name, pa.array(said[name], from_pandas=True))
        return table


def columns(prediction: Any) -> pd.DataFrame:
    """A prediction of any kind as columns; ``prediction`` where it does not name its own."""
    if isinstance(prediction, pd.DataFrame | dict):
        named = pd.DataFrame(prediction)
        return named.set_axis([str(name) for name in named.columns], axis=1)
    values = np.asarray(prediction)
    if values.ndim == 1:
        return pd.DataFrame({PREDICTION: values})
    if values.ndim != COLUMNS:
        return pd.DataFrame({PREDICTION: list(values)})
    if values.shape[1] == 1:
        return pd.DataFrame({PREDICTION: values[:, 0]})
    return pd.DataFrame(values).add_prefix(f"{PREDICTION}_")


def _types(model: Any) -> dict[str, pa.DataType]:
    schema = model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return {c.name: TYPES[c.type] for c in schema.inputs if c.type in TYPES}
