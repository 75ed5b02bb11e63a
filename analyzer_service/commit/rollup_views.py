"""Reads a phase's rows in buckets of 2^level rows: means, and how far single rows go beyond.

Complete buckets from level `BASE_LEVEL` up are there; lower levels are made from rows. The last
bucket, which more rows will come to, is put together of the largest pieces that are there.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.bucket_sums import Buckets, Sums
from analyzer_service.commit.packing import NameLists, unpack
from analyzer_service.commit.rollups import BASE_LEVEL

Floats = NDArray[np.float64]

_ROWS: Final = (
    "SELECT name_list, metrics FROM batches WHERE phase = ? AND superseded = 0 "
    "AND ordinal BETWEEN ? AND ? ORDER BY ordinal"
)
_BUCKETS: Final = (
    "SELECT name_list, sums, counts, lows, highs FROM rollups "
    "WHERE phase = ? AND level = ? AND bucket >= ? AND bucket < ? ORDER BY bucket"
)


def lowest_level(rows: int, points: int) -> int:
    """The finest level at which `rows` rows are at most `points` buckets.

    Examples
    --------
    >>> lowest_level(1000, 1000), lowest_level(1001, 1000), lowest_level(1_000_000, 1000)
    (0, 1, 10)
    """
    level = 0
    while -(-rows >> level) > points:
        level += 1
    return level


class RollupReader:
    """Reads numbers `names` of the first `rows` rows of `phase`, bucket by bucket.

    `rows` is how many there are unless it is given. Buckets count from 0.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        lists: NameLists,
        phase: str,
        names: Sequence[str],
        *,
        rows: int | None = None,
    ) -> None:
        self._connection = connection
        self._lists = lists
        self._phase = phase
        self.names = list(dict.fromkeys(names))
        self._found: dict[int, tuple[list[int], list[int]]] = {}
        self.rows = self._count() if rows is None else rows

    def read(self, level: int, first: int, last: int) -> Buckets:
        """Buckets `first` to before `last`, as far as there are rows."""
        if level == 0:
            values = self._of_rows(first, min(last, self.rows))
            finite = np.where(np.isfinite(values), values, np.nan)
            return Buckets(values, finite, finite)
        return self._sums(level, first, last).buckets()

    def history(self, points: int) -> dict[str, Floats]:
        """Means by name, "global_step" with them, over at most `points` buckets.

        In validation a bucket is of one pass, unless there are more than `points` / 4 of them.
        """
        wanted = RollupReader(
            *(self._connection, self._lists, self._phase, ["global_step", *self.names]),
            rows=self.rows,
        )
        means = wanted._history(points)
        return {name: means[:, k].copy() for k, name in enumerate(wanted.names)}

    def _history(self, points: int) -> Floats:
        level = lowest_level(self.rows, points)
        passes = self.passes(points // 4) if level > 0 and self._phase == "val" else None
        if passes is None:
            return self.read(level, 0, self.rows).means
        level = lowest_level(self.rows, points - 2 * len(passes))
        return np.concatenate([self.within(level, first, last) for first, last in passes])

    def passes(self, most: int) -> list[tuple[int, int]] | None:
        """The passes of validation, which have one global step each; None if more than `most`.

        Each is how many rows come before its first one, and before the first one after it.
        """
        found: list[tuple[int, int]] = []
        at = 0
        while at < self.rows:
            if len(found) == most:
                return None
            end = self.before(np.nextafter(self._step(at + 1), np.inf), at)
            found.append((at, end))
            at = end
        return found

    def within(self, level: int, first: int, last: int) -> Floats:
        """Means of buckets of only the rows after the first `first`, up to the `last`-th.

        Those at both ends, where the rows begin or end inside a bucket, hold fewer rows.
        """
        if level < BASE_LEVEL:
            return Sums.of_rows(self._of_rows(first, last), 1 << level).buckets().means
        begin, end = -(-first >> level), last >> level
        if begin >= end:
            return self._between(first, last).buckets().means
        parts = [self._stored(level, begin, end)]
        if first < begin << level:
            parts.insert(0, self._between(first, begin << level))
        if end << level < last:
            parts.append(self._between(end << level, last))
        return Sums.joined(parts).buckets().means

    def starts(self) -> int:
        """How often producers started: with a new start rows may have been taken back."""
        (count,) = self._connection.execute("SELECT count(*) FROM producers").fetchone()
        return int(count)

    def available(self) -> list[str]:
        """Names of every number that these rows have, found without reading them all."""
        top = max(self.rows.bit_length() - 1, 0)
        numbers, at = [], 0
        for level in range(top, BASE_LEVEL - 1, -1):
            if at + (1 << level) <= self.rows:
                found = (self._phase, level, at >> level, (at >> level) + 1)
                numbers += self._connection.execute(_BUCKETS, found).fetchall()
                at += 1 << level
        numbers += self._connection.execute(_ROWS, (self._phase, at + 1, self.rows)).fetchall()
        lists = dict.fromkeys(row[0] for row in numbers)
        return list(dict.fromkeys(name for number in lists for name in self._lists.names(number)))

    def before(self, step: float, least: int = 0) -> int:
        """How many rows come before the first one that reaches global step `step`.

        At least `least` are known to.
        Rows of several ranks may be a few steps out of order; then it is one of the places where
        the rows cross `step`.
        """
        low, high = least, self.rows
        while low < high:
            middle = (low + high) // 2
            below = self._step(middle + 1) < step
            low, high = (middle + 1, high) if below else (low, middle)
        return low

    def steps(self) -> tuple[int, int] | None:
        """Global steps of the first and the last row; None where there is none."""
        return (self._step(1), self._step(self.rows)) if self.rows else None

    def _step(self, ordinal: int) -> int:
        query = "SELECT global_step FROM batches WHERE phase = ? AND superseded = 0 AND ordinal = ?"
        return int(self._connection.execute(query, (self._phase, ordinal)).fetchone()[0])

    def _count(self) -> int:
        query = "SELECT max(ordinal) FROM batches WHERE phase = ? AND superseded = 0"
        return int(self._connection.execute(query, (self._phase,)).fetchone()[0] or 0)

    def _sums(self, level: int, first: int, last: int) -> Sums:
        end = min(last, -(-self.rows >> level))
        if level < BASE_LEVEL:
            values = self._of_rows(first << level, min(end << level, self.rows))
            return Sums.of_rows(values, 1 << level)
        full = min(end, self.rows >> level)
        found = self._stored(level, first, full)
        if end <= full or end <= first:
            return found
        return Sums.joined([found, self._between(full << level, self.rows)])

    def _between(self, first: int, last: int) -> Sums:
        """Rows after the first `first`, up to the `last`-th, as one bucket."""
        return Sums.joined(self._pieces(first, last)).folded()

    def _pieces(self, first: int, last: int) -> Iterator[Sums]:
        """Sums of the largest buckets that are there, in order, and of the rows between them."""
        at = first
        while at < last:
            level = (last - at).bit_length() - 1
            if at:
                level = min(level, (at & -at).bit_length() - 1)
            if level >= BASE_LEVEL:
                yield self._stored(level, at >> level, (at >> level) + 1)
                at += 1 << level
            else:
                end = min(last, (at >> BASE_LEVEL) + 1 << BASE_LEVEL)
                yield Sums.of_rows(self._of_rows(at, end), end - at)
                at = end

    def _of_rows(self, first: int, last: int) -> Floats:
        """Values (rows, names) of the rows after the first `first`, up to the `last`-th."""
        rows = self._connection.execute(_ROWS, (self._phase, first + 1, last)).fetchall()
        return self._columns(rows, 1, absent=np.nan)

    def _stored(self, level: int, first: int, last: int) -> Sums:
        found = (self._phase, level, first, last)
        rows = self._connection.execute(_BUCKETS, found).fetchall()
        absent = (0.0, 0.0, np.nan, np.nan)
        return Sums(*(self._columns(rows, 1 + i, absent=absent[i]) for i in range(4)))

    def _columns(self, rows: Sequence[tuple[Any, ...]], column: int, *, absent: float) -> Floats:
        """The wanted numbers of the blobs in a column; neighbors of one list are read together."""
        table = np.full((len(rows), len(self.names)), absent)
        at = 0
        for number, same in groupby(rows, key=itemgetter(0)):
            blobs = [row[column] for row in same]
            to, source = self._places(number)
            values = unpack(b"".join(blobs)).reshape(len(blobs), -1)
            table[at : at + len(blobs), to] = values[:, source]
            at += len(blobs)
        return table

    def _places(self, number: int) -> tuple[list[int], list[int]]:
        """Where the wanted names are: among those wanted, and in name list `number`."""
        if number not in self._found:
            places = {name: place for place, name in enumerate(self._lists.names(number))}
            pairs = [(to, places[name]) for to, name in enumerate(self.names) if name in places]
            self._found[number] = [to for to, _ in pairs], [source for _, source in pairs]
        return self._found[number]
