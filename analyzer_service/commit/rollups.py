"""Sums and extremes over runs of rows, so that a million rows are read in milliseconds.

The rows of a phase that are not superseded are numbered from 1 (`ordinal`). At level L a bucket
holds 2^L consecutive rows: of each number the sum and count of its finite values, the least and
the largest. NaN and infinity are left out, so that one such row does not hide its neighbors. A
bucket is written once, with its last row. Level `BASE_LEVEL` is made from rows, each higher one
from its two halves, so a bucket depends on its rows only. `rollup_views` reads them.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import NameLists, Names, pack, unpack

BASE_LEVEL: Final = 3
Floats = NDArray[np.float64]

_ROWS: Final = (
    "SELECT name_list, metrics FROM batches WHERE phase = ? AND superseded = 0 "
    "AND ordinal BETWEEN ? AND ? ORDER BY ordinal"
)
_HALVES: Final = (
    "SELECT name_list, sums, counts, lows, highs FROM rollups "
    "WHERE phase = ? AND level = ? AND bucket IN (?, ?) ORDER BY bucket"
)


@dataclass(frozen=True, slots=True)
class Folded:
    """Rows folded into one: each field has a value for each of `names`.

    Attributes
    ----------
    sums, counts : ndarray of shape (N,), float64
        Over finite values; 0 where there is none.
    lows, highs : ndarray of shape (N,), float64
        NaN where there is no finite value.
    """

    names: Names
    sums: Floats
    counts: Floats
    lows: Floats
    highs: Floats


def add_row(connection: sqlite3.Connection, lists: NameLists, phase: str, ordinal: int) -> None:
    """Write every bucket that row `ordinal` of `phase` completes."""
    level = BASE_LEVEL
    while ordinal % (1 << level) == 0:
        bucket = (ordinal >> level) - 1
        if level == BASE_LEVEL:
            first, last = (bucket << level) + 1, ordinal
            rows = connection.execute(_ROWS, (phase, first, last)).fetchall()
            parts = [_of_rows(lists.names(number), blobs) for number, blobs in _runs(rows)]
        else:
            halves = (phase, level - 1, 2 * bucket, 2 * bucket + 1)
            parts = [
                Folded(lists.names(number), *map(unpack, blobs))
                for number, *blobs in connection.execute(_HALVES, halves)
            ]
        whole = _fold(parts)
        columns = (whole.sums, whole.counts, whole.lows, whole.highs)
        connection.execute(
            "INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (phase, level, bucket, lists.number(whole.names), *map(pack, columns)),
        )
        level += 1


def truncate(connection: sqlite3.Connection, phase: str, rows: int) -> None:
    """Delete the buckets of `phase` that hold any row beyond the first `rows`."""
    connection.execute(
        "DELETE FROM rollups WHERE phase = ? AND ((bucket + 1) << level) > ?", (phase, rows)
    )


def _runs(rows: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    """Neighboring rows that have the same name list, together."""
    for number, same in groupby(rows, key=itemgetter(0)):
        yield number, [blob for _, blob in same]


def _of_rows(names: Names, blobs: Sequence[bytes]) -> Folded:
    values = unpack(b"".join(blobs)).reshape(len(blobs), -1)
    known = np.isfinite(values)
    extremes = values if known.all() else np.where(known, values, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return Folded(
            names,
            np.add.reduce(values, axis=0, where=known),
            known.sum(axis=0, dtype=np.float64),
            np.fmin.reduce(extremes, axis=0),
            np.fmax.reduce(extremes, axis=0),
        )


def _fold(parts: Sequence[Folded]) -> Folded:
    """`parts` as one. Sums of the largest numbers there are may overflow: no chart draws those."""
    if len(parts) == 1:
        return parts[0]
    names = _union(parts)
    alike = [part if part.names == names else _spread(part, names) for part in parts]
    with np.errstate(over="ignore", invalid="ignore"):
        return Folded(
            names,
            np.add.reduce([part.sums for part in alike], axis=0),
            np.add.reduce([part.counts for part in alike], axis=0),
            np.fmin.reduce([part.lows for part in alike], axis=0),
            np.fmax.reduce([part.highs for part in alike], axis=0),
        )


def _union(parts: Sequence[Folded]) -> Names:
    distinct = dict.fromkeys(part.names for part in parts)
    return tuple(dict.fromkeys(name for names in distinct for name in names))


def _spread(part: Folded, names: Names) -> Folded:
    """`part` with a place for each of `names`, those that it lacks without a value."""
    places = {name: place for place, name in enumerate(names)}
    at = [places[name] for name in part.names]
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    lows, highs = np.full(len(names), np.nan), np.full(len(names), np.nan)
    sums[at], counts[at], lows[at], highs[at] = part.sums, part.counts, part.lows, part.highs
    return Folded(names, sums, counts, lows, highs)
