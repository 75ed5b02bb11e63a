"""Numbers of single tiles, read a page of rows at a time."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Final, Literal

from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.run_rows import RUN
from analyzer_service.commit.views import SampleRow
from shared.messages import Sample

PAGE: Final = 512

Tests = tuple[str, list[str | int]]
"""Conditions of a query, and what stands for their question marks."""

RowsOf = Literal["run", "ranks", "both"]
"""Whose rows: the run's own, those of its ranks (of one rank the same ones), or all of them."""


def rows_of(of: RowsOf) -> str:
    """Condition on `batches`, to follow others."""
    return {"run": " AND ordinal IS NOT NULL", "ranks": f" AND rank > {RUN}", "both": ""}[of]


def read_rank_names(connection: sqlite3.Connection, lists: NameLists, upto: int) -> list[str]:
    """Names of every number of the ranks' rows up to release `upto`."""
    query = (
        "SELECT DISTINCT name_list FROM batches "
        f"WHERE superseded = 0{rows_of('ranks')} AND release <= ?"
    )
    found = [lists.names(number) for (number,) in connection.execute(query, (upto,))]
    return list(dict.fromkeys(name for names in found for name in names))


def row_filters(phase: str | None, epoch: int | None, upto: int | None) -> Tests:
    """Conditions on `batches` for what is given."""
    wanted = {" AND phase = ?": phase, " AND epoch = ?": epoch, " AND release <= ?": upto}
    given = {test: value for test, value in wanted.items() if value is not None}
    return "".join(given), list(given.values())


def read_tiles(
    connection: sqlite3.Connection, lists: NameLists, filters: Tests, after: int
) -> Iterator[SampleRow]:
    """Analyzed tiles of the rows beyond `after`, in release order, then in their batch's order."""
    tests, given = filters
    query = (
        "SELECT release, frame, phase, epoch, global_step, phase_step, rank FROM batches "
        f"WHERE superseded = 0 AND frame IS NOT NULL AND release > ?{tests} "
        f"ORDER BY release LIMIT {PAGE}"
    )
    while page := connection.execute(query, (after, *given)).fetchall():
        for _, frame, phase, *numbers in page:
            for sample, values in _tiles_of(connection, lists, frame):
                yield SampleRow(sample, values, phase, *numbers)
        after = page[-1][0]


def _tiles_of(
    connection: sqlite3.Connection, lists: NameLists, frame: int
) -> Iterator[tuple[Sample, dict[str, float]]]:
    query = "SELECT sample, name_list, metrics FROM samples WHERE frame = ? ORDER BY position"
    for text, number, blob in connection.execute(query, (frame,)).fetchall():
        yield Sample.model_validate(json.loads(text)), lists.unpack(number, blob)
