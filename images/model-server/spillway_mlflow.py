"""MLflow's models in MLServer: predictions of every kind, and mistakes that are told.

MLServer's own runtime knows arrays, tables and dicts of arrays. To a pyfunc that returns a Series
or a list, and to a request that the model's signature refuses, it says "Internal Server Error".
"""

from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_mlflow import MLflowRuntime


class Runtime(MLflowRuntime):
    """The same, for people who train in notebooks."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """As MLServer's, but a refusal of MLflow is the client's mistake (400)."""
        try:
            return await super().predict(payload)
        except MlflowException as error:
            raise InferenceError(error.message) from error

    def encode_response(self, payload: Any, default_codec: Any = None) -> InferenceResponse:
        """As MLServer's, for what it can encode."""
        return super().encode_response(encodable(payload), default_codec)


def encodable(prediction: Any) -> Any:
    """A prediction as MLServer knows it; what is no list of numbers or rows stays as it is."""
    if isinstance(prediction, pd.Series):
        return prediction.to_numpy()
    if isinstance(prediction, int | float | np.generic):
        return np.asarray([prediction])
    if isinstance(prediction, list | tuple) and prediction:
        if all(isinstance(row, dict) for row in prediction):
            return pd.DataFrame(list(prediction))
        if not all(isinstance(value, str) for value in prediction):
            return np.asarray(prediction)
    return prediction
