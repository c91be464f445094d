"""Files of rows: read in parts of one size whatever blocks they are stored in, written whole.

The size of parts alone decides which rows are in which, so that a later run finds the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

BLOCK = 8 * 2**20
"""Bytes that are read at a time; of a CSV the first block also decides the types of columns."""
PARQUET, CSV = ".parquet", ".csv"
READ = (PARQUET, CSV)
MARKED = ("_", ".")
"""How names start that are no data, as Spark and others have it."""


def is_table(name: str) -> bool:
    """Whether it is a file that is scored."""
    path = PurePosixPath(name)
    return path.suffix in READ and not any(part.startswith(MARKED) for part in path.parts)


def part_name(name: str, number: int) -> str:
    """What a part of a file is called in the output."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.part-{number:05}{path.suffix}"))


def parts(
    name: str, file: pa.NativeFile, rows: int, types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
    """The file's rows in order, ``rows`` at a time; the last part may have fewer.

    ``types`` are those of a CSV's columns as far as they are known.
    """
    blocks = _parquet(file, rows) if name.endswith(PARQUET) else _csv(file, types)
    waiting: list[pa.RecordBatch] = []
    there = 0
    for block in blocks:
        waiting.append(block)
        there += block.num_rows
        while there >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
            there -= rows
    if there:
        yield pa.Table.from_batches(waiting)


def encoded(name: str, table: pa.Table) -> bytes:
    """The rows as a file of the same kind."""
    sink = pa.BufferOutputStream()
    if name.endswith(PARQUET):
        pq.write_table(table, sink)
    else:
        csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


def _parquet(file: pa.NativeFile, rows: int) -> Iterator[pa.RecordBatch]:
    # With a buffer a row group is never in memory as a whole.
    yield from pq.ParquetFile(file, buffer_size=BLOCK).iter_batches(batch_size=rows)


def _csv(file: pa.NativeFile, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    if not file.size():
        return
    yield from csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=BLOCK),
        convert_options=csv.ConvertOptions(column_types=dict(types)),
    )
