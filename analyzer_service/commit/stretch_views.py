"""Reads a phase's rows as stretches: those that are there, and the others made of their rows.

Rows without a stretch are the last ones, to which more will come, and those of a run that was
written by a version without this table.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.stretches import ROWS, Stretch, of_stored, of_values, read_matrix

Floats = NDArray[np.float64]

_PAGE: Final = 64
_THERE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stretches'"
_STORED: Final = (
    "SELECT stretch, name_list, epochs, statistics, by_epoch, kept FROM stretches "
    "WHERE phase = ? AND stretch >= ? AND stretch < ? ORDER BY stretch"
)
_STORED_LISTS: Final = "SELECT stretch, name_list FROM stretches WHERE phase = ? AND stretch < ?"
_LISTS: Final = (
    "SELECT DISTINCT name_list FROM batches WHERE phase = ? AND superseded = 0 "
    "AND ordinal BETWEEN ? AND ?"
)


class StretchReader:
    """The first `rows` rows of `phase` as stretches, in order; bounded memory, whatever `rows`."""

    def __init__(
        self, connection: sqlite3.Connection, lists: NameLists, phase: str, *, rows: int
    ) -> None:
        self._connection = connection
        self._lists = lists
        self.phase = phase
        self.rows = rows

    def __iter__(self) -> Iterator[Stretch]:
        for first in range(0, -(-self.rows // ROWS), _PAGE):
            last = min(first + _PAGE, -(-self.rows // ROWS))
            stored = self._stored(first, min(last, self.rows // ROWS))
            for stretch in range(first, last):
                found = stored.get(stretch) or self._made(stretch)
                if found is not None:
                    yield found

    def names(self) -> list[str]:
        """Names of every number of the rows; where each has a stretch, few rows are read."""
        numbers = dict.fromkeys(number for number in self._name_lists())
        lists = (self._lists.names(number) for number in numbers)
        return list(dict.fromkeys(name for names in lists for name in names))

    def values(self, stretch: Stretch, names: Sequence[str]) -> Floats:
        """Values (rows, len(names)) of the rows of `stretch`; NaN where there is none of one."""
        last = stretch.first + stretch.rows - 1
        given = (self._connection, self._lists, self.phase, stretch.first, last)
        known, values, _ = read_matrix(*given)
        places = {name: place for place, name in enumerate(known)}
        nowhere = np.full(len(values), np.nan)
        columns = [values[:, places[name]] if name in places else nowhere for name in names]
        return np.column_stack(columns)

    def of_epoch(self, epoch: int) -> Iterator[Stretch]:
        """The rows of one epoch, as stretches of any length."""
        for stretch in self:
            if epoch not in stretch.epochs:
                continue
            if len(stretch.epochs) == 1:
                yield stretch
            else:
                yield self._part(stretch, epoch)

    def _part(self, stretch: Stretch, epoch: int) -> Stretch:
        given = (self._connection, self._lists, self.phase)
        names, values, has = read_matrix(*given, stretch.first, stretch.first + stretch.rows - 1)
        own = values[:, names.index("epoch")] == epoch
        return of_values(stretch.first, names, values[own], has[own])

    def _name_lists(self) -> Iterator[int]:
        whole = self.rows // ROWS
        there = dict(self._stored_lists(whole))
        yield from dict.fromkeys(there.values())
        for stretch in range(-(-self.rows // ROWS)):
            if stretch not in there:
                given = (self.phase, *self._ordinals(stretch))
                yield from (number for (number,) in self._connection.execute(_LISTS, given))

    def _stored_lists(self, whole: int) -> list[tuple[int, int]]:
        if not self._there():
            return []
        return self._connection.execute(_STORED_LISTS, (self.phase, whole)).fetchall()

    def _stored(self, first: int, last: int) -> dict[int, Stretch]:
        if not self._there():
            return {}
        found = self._connection.execute(_STORED, (self.phase, first, last)).fetchall()
        return {
            stretch: of_stored(self._lists.names(number), stretch, blobs)
            for stretch, number, *blobs in found
        }

    def _made(self, stretch: int) -> Stretch | None:
        """A stretch of its rows; None where they were taken back meanwhile."""
        given = (self._connection, self._lists, self.phase)
        first, last = self._ordinals(stretch)
        names, values, has = read_matrix(*given, first, last)
        return of_values(first, names, values, has) if len(values) else None

    def _ordinals(self, stretch: int) -> tuple[int, int]:
        return stretch * ROWS + 1, min((stretch + 1) * ROWS, self.rows)

    def _there(self) -> bool:
        """Whether the run has the table."""
        return self._connection.execute(_THERE).fetchone() is not None
