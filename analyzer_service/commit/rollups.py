"""Sums over runs of rows, so that the history of a million rows is read in milliseconds.

The rows of a phase that are not superseded are numbered from 1 (`ordinal`). At level L a bucket
sums 2^L consecutive rows; a bucket is written once, with its last row. Level `BASE_LEVEL` is
summed from rows, each higher one from its two halves, so a bucket's value depends on its rows
only. Reading n rows in at most `points` buckets takes the lowest level that is coarse enough.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import NameLists, Names, pack, unpack

BASE_LEVEL: Final = 3
Floats = NDArray[np.float64]
Sums = tuple[Names, Floats, Floats]

_ROWS: Final = (
    "SELECT name_list, metrics FROM batches WHERE phase = ? AND superseded = 0 "
    "AND ordinal BETWEEN ? AND ? ORDER BY ordinal"
)


def add_row(connection: sqlite3.Connection, lists: NameLists, phase: str, ordinal: int) -> None:
    """Write every bucket that row `ordinal` of `phase` completes."""
    level = BASE_LEVEL
    while ordinal % (1 << level) == 0:
        bucket = (ordinal >> level) - 1
        if level == BASE_LEVEL:
            sums = _sum_rows(connection, lists, phase, bucket)
        else:
            query = (
                "SELECT name_list, sums, counts FROM rollups "
                "WHERE phase = ? AND level = ? AND bucket IN (?, ?) ORDER BY bucket"
            )
            halves = connection.execute(query, (phase, level - 1, 2 * bucket, 2 * bucket + 1))
            sums = _add((lists.names(number), unpack(s), unpack(c)) for number, s, c in halves)
        connection.execute(
            "INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?, ?)",
            (phase, level, bucket, lists.number(sums[0]), pack(sums[1]), pack(sums[2])),
        )
        level += 1


def truncate(connection: sqlite3.Connection, phase: str, rows: int) -> None:
    """Delete the buckets of `phase` that hold any row beyond the first `rows`."""
    connection.execute(
        "DELETE FROM rollups WHERE phase = ? AND ((bucket + 1) << level) > ?", (phase, rows)
    )


def history(
    connection: sqlite3.Connection, lists: NameLists, phase: str, rows: int, *, points: int
) -> list[Sums]:
    """Sums of the first `rows` rows of `phase` in at most `points` buckets of equal count.

    The last bucket may hold fewer rows. With no more rows than points each row is a bucket.
    """
    level = 0
    while -(-rows >> level) > points:
        level += 1
    if level < BASE_LEVEL:
        return _from_rows(connection, lists, phase, (1, rows), 1 << level)
    full = rows >> level
    query = (
        "SELECT name_list, sums, counts FROM rollups "
        "WHERE phase = ? AND level = ? AND bucket < ? ORDER BY bucket"
    )
    found = connection.execute(query, (phase, level, full))
    buckets = [
        (lists.names(number), unpack(sums), unpack(counts)) for number, sums, counts in found
    ]
    rest = (full << level) + 1, rows
    return buckets + _from_rows(connection, lists, phase, rest, 1 << level)


def columns(buckets: Sequence[Sums], names: Iterable[str]) -> dict[str, Floats]:
    """Mean of each bucket by name; NaN where no row of the bucket has a value."""
    wanted = list(dict.fromkeys(names))
    table = np.full((len(buckets), len(wanted)), np.nan)
    found: dict[Names, tuple[list[int], list[int]]] = {}
    for i, (have, sums, counts) in enumerate(buckets):
        if have not in found:
            places = {name: j for j, name in enumerate(have)}
            pairs = [(k, places[name]) for k, name in enumerate(wanted) if name in places]
            found[have] = [k for k, _ in pairs], [j for _, j in pairs]
        to, source = found[have]
        number = counts[source]
        table[i, to] = np.where(number > 0, sums[source] / np.maximum(number, 1), np.nan)
    return {name: table[:, k].copy() for k, name in enumerate(wanted)}


def _sum_rows(connection: sqlite3.Connection, lists: NameLists, phase: str, bucket: int) -> Sums:
    first = (bucket << BASE_LEVEL) + 1
    last = (bucket + 1) << BASE_LEVEL
    return _from_rows(connection, lists, phase, (first, last), 1 << BASE_LEVEL)[0]


def _from_rows(
    connection: sqlite3.Connection,
    lists: NameLists,
    phase: str,
    ordinals: tuple[int, int],
    size: int,
) -> list[Sums]:
    rows = connection.execute(_ROWS, (phase, *ordinals)).fetchall()
    return [_add(_of_rows(lists, rows[i : i + size])) for i in range(0, len(rows), size)]


def _of_rows(lists: NameLists, rows: Sequence[tuple[int, bytes]]) -> list[Sums]:
    """Each row as sums of its own; neighbors of one name list are taken apart together."""
    sums: list[Sums] = []
    for number, same in groupby(rows, key=itemgetter(0)):
        blobs = [blob for _, blob in same]
        values = unpack(b"".join(blobs)).reshape(len(blobs), -1)
        known = ~np.isnan(values)
        names, ones = lists.names(number), known.astype(np.float64)
        sums += [(names, *each) for each in zip(np.where(known, values, 0.0), ones, strict=True)]
    return sums


def _add(parts: Iterable[Sums]) -> Sums:
    listed = list(parts)
    if len({names for names, _, _ in listed}) == 1:
        return listed[0][0], _total(p[1] for p in listed), _total(p[2] for p in listed)
    union = tuple(dict.fromkeys(name for names, _, _ in listed for name in names))
    places = {name: i for i, name in enumerate(union)}
    sums, counts = np.zeros(len(union)), np.zeros(len(union))
    for names, part, number in listed:
        at = [places[name] for name in names]
        sums[at] += part
        counts[at] += number
    return union, sums, counts


def _total(parts: Iterable[Floats]) -> Floats:
    # One by one, in order: the value must not depend on how many are added at a time.
    total: Floats | None = None
    for part in parts:
        total = part.copy() if total is None else total + part
    assert total is not None
    return total
