"""Rows as CSV and as JSON."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analyzer_service.export.tables import Table


def write_csv(table: Table, path: Path) -> int:
    """Write a header and the rows; undefined is empty, numbers keep every bit.

    Returns
    -------
    int
        How many rows were written.
    """
    counted = _Counted(table.rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in table.columns])
        writer.writerows(counted)
    return counted.count


def write_json(table: Table, path: Path) -> int:
    """Write a list of flat objects, one a line; undefined and infinite numbers are null.

    Returns
    -------
    int
        How many rows were written.
    """
    names = [column.name for column in table.columns]
    counted = _Counted(table.rows)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        separator = "[\n"
        for row in counted:
            values = dict(zip(names, map(_finite, row), strict=True))
            file.write(separator + json.dumps(values, allow_nan=False, ensure_ascii=False))
            separator = ",\n"
        file.write("\n]\n" if counted.count else "[]\n")
    return counted.count


class _Counted:
    def __init__(self, rows: Iterator[list[Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
