"""Rows as Parquet, by pyarrow where it is installed."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final

from analyzer_service.export.tables import Table
from shared.errors import ConfigurationError

_CELLS: Final = 1 << 21  # held at a time: 16 MiB of numbers, and what Python takes for them


def check_parquet() -> None:
    """Tell whether Parquet can be written.

    Raises
    ------
    ConfigurationError
        If pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ConfigurationError(
            "Parquet needs pyarrow, which is not installed: pip install 'sidelight[export]', or "
            "choose --to csv"
        )


def write_parquet(table: Table, path: Path) -> int:
    """Write the rows in groups of bounded size; undefined is null.

    Returns
    -------
    int
        How many rows were written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64()}
    schema = pa.schema([(column.name, types[column.kind]) for column in table.columns])
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _groups(table):
            columns = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            written += len(rows)
    return written


def _groups(table: Table) -> Iterator[list[list[Any]]]:
    size = max(_CELLS // max(len(table.columns), 1), 1)
    while rows := list(islice(table.rows, size)):
        yield rows
