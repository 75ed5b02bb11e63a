"""Statistics of 1,024 rows each, so that a report of a million rows reads a thousand of them.

A stretch holds consecutive rows of a phase (by `ordinal`), as a bucket of level 10 of `rollups`
does, and more of them: sums of squares about their mean, sums for each of their epochs, and the
values themselves of what medians are taken of. It is written once, with its last row, and depends
on its rows only. `stretch_views` reads them; `totals` puts them together.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import NameLists, Names, pack, unpack

ROWS: Final = 1024
KEPT: Final = ("training_time_ms", "inference_time_ms", "data_time_ms", "batch_size")
"""What has every value kept beside the statistics, for medians and for sums over pairs."""

Floats = NDArray[np.float64]

_MOST_EPOCHS: Final = 128
_TOGETHER: Final = 8  # columns: 64 KiB stay in the processor's cache, and cost no new memory
_STATISTICS: Final = 7
_ROWS: Final = (
    "SELECT name_list, metrics FROM batches WHERE phase = ? AND superseded = 0 "
    "AND ordinal BETWEEN ? AND ? ORDER BY ordinal"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Statistics of consecutive rows of a phase; arrays have a value for each of `names`.

    Attributes
    ----------
    first : int
        Ordinal of its first row.
    present, counts : ndarray of shape (N,), float64
        Rows that have a number, be it NaN, and those in which it is finite.
    sums, rests, squares : ndarray of shape (N,), float64
        Over the finite values: their sum, what rounding leaves of ``sums / counts`` to their mean,
        and the squares about it; 0 without any.
    lows, highs : ndarray of shape (N,), float64
        NaN without a finite value.
    epochs, epoch_rows : ndarray of shape (E,), int64
        Epochs of the rows, ascending, and how many rows are of each.
    epoch_counts, epoch_sums : ndarray of shape (E, N), float64, or None
        Of each epoch; None where the stretch has so many that its rows are no longer to read.
    kept : ndarray of shape (len(KEPT), rows), float64
        Values of `KEPT`, NaN where a row has none.
    """

    first: int
    names: Names
    present: Floats
    counts: Floats
    sums: Floats
    rests: Floats
    squares: Floats
    lows: Floats
    highs: Floats
    epochs: NDArray[np.int64]
    epoch_rows: NDArray[np.int64]
    epoch_counts: Floats | None
    epoch_sums: Floats | None
    kept: Floats

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return int(self.epoch_rows.sum())


def add_row(connection: sqlite3.Connection, lists: NameLists, phase: str, ordinal: int) -> None:
    """Write the stretch that row `ordinal` of `phase` completes, if it does."""
    if ordinal % ROWS:
        return
    first = ordinal - ROWS + 1
    found = of_values(first, *read_matrix(connection, lists, phase, first, ordinal))
    statistics = (found.present, found.counts, found.sums, found.rests, found.squares)
    several = len(found.epochs) > 1 and found.epoch_counts is not None
    connection.execute(
        "INSERT OR REPLACE INTO stretches VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(phase, ordinal // ROWS - 1, lists.number(found.names)),
            pack(np.array([found.epochs, found.epoch_rows], dtype=np.float64)),
            pack(np.array([*statistics, found.lows, found.highs])),
            pack(np.array([found.epoch_counts, found.epoch_sums])) if several else None,
            pack(found.kept),
        ),
    )


def truncate(connection: sqlite3.Connection, phase: str, rows: int) -> None:
    """Delete the stretches of `phase` that hold any row beyond the first `rows`."""
    connection.execute(
        f"DELETE FROM stretches WHERE phase = ? AND (stretch + 1) * {ROWS} > ?", (phase, rows)
    )


def of_stored(names: Names, stretch: int, blobs: Sequence[bytes]) -> Stretch:
    """The stretch of a line of the table, from its blobs in order."""
    about, statistics, by_epoch, kept = blobs
    epochs, epoch_rows = unpack(about).reshape(2, -1).astype(np.int64)
    found = unpack(statistics).reshape(_STATISTICS, -1)
    epoch_counts: Floats | None = None
    epoch_sums: Floats | None = None
    if len(epochs) == 1:
        epoch_counts, epoch_sums = found[1:2], found[2:3]
    elif by_epoch:
        epoch_counts, epoch_sums = unpack(by_epoch).reshape(2, len(epochs), -1)
    return Stretch(
        stretch * ROWS + 1,
        names,
        *(found[0], found[1], found[2], found[3], found[4], found[5], found[6]),
        epochs=epochs,
        epoch_rows=epoch_rows,
        epoch_counts=epoch_counts,
        epoch_sums=epoch_sums,
        kept=unpack(kept).reshape(len(KEPT), -1),
    )


def of_values(first: int, names: Names, values: Floats, has: NDArray[np.bool_]) -> Stretch:
    """The stretch of rows `values` (rows, N); `has` tells which of them have which number."""
    places = {name: place for place, name in enumerate(names)}
    of_rows = values[:, places["epoch"]]
    order = np.argsort(of_rows, kind="stable")
    epochs, starts, epoch_rows = np.unique(of_rows[order], return_index=True, return_counts=True)
    several = 1 < len(epochs) <= _MOST_EPOCHS
    found = np.empty((_STATISTICS - 1, len(names)))
    by_epoch = np.empty((2, len(epochs), len(names))) if several else None
    for at in range(0, len(names), _TOGETHER):
        part = slice(at, at + _TOGETHER)
        columns = np.ascontiguousarray(values[:, part].T)  # so that sums are pairwise ones
        known = np.isfinite(columns)
        found[:, part] = _statistics(columns, known)
        if by_epoch is not None:
            by_epoch[:, :, part] = _by_epoch(columns, known, order, starts)
    if len(epochs) == 1:
        by_epoch = found[:2, None]
    nowhere = np.full(len(values), np.nan)
    kept = [values[:, places[name]] if name in places else nowhere for name in KEPT]
    return Stretch(
        first,
        names,
        np.count_nonzero(has, axis=0).astype(np.float64),
        *(found[0], found[1], found[2], found[3], found[4], found[5]),
        epochs=epochs.astype(np.int64),
        epoch_rows=epoch_rows.astype(np.int64),
        epoch_counts=None if by_epoch is None else by_epoch[0],
        epoch_sums=None if by_epoch is None else by_epoch[1],
        kept=np.array(kept),
    )


def _statistics(columns: Floats, known: NDArray[np.bool_]) -> list[Floats]:
    """Counts, sums, rests, squares, lows and highs of the rows of `columns` (N, rows)."""
    counts = np.count_nonzero(known, axis=1).astype(np.float64)
    most = np.maximum(counts, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = _filled(columns, known, 0.0)
        sums = finite.sum(axis=1)
        away = _filled(finite - (sums / most)[:, None], known, 0.0)
        rests = away.sum(axis=1) / most
        squares = np.square(away).sum(axis=1) - rests * rests * counts
    lows = _filled(columns, known, np.inf).min(axis=1)
    highs = _filled(columns, known, -np.inf).max(axis=1)
    nothing = counts == 0
    lows[nothing], highs[nothing] = np.nan, np.nan
    return [counts, sums, rests, np.maximum(squares, 0.0), lows, highs]


def _filled(columns: Floats, known: NDArray[np.bool_], value: float) -> Floats:
    """`columns` with `value` in place of what is not known; themselves where all is."""
    return columns if known.all() else np.where(known, columns, value)


def _by_epoch(
    columns: Floats, known: NDArray[np.bool_], order: NDArray[np.intp], starts: NDArray[np.intp]
) -> Floats:
    """Counts and sums (2, epochs, N) of columns (N, rows); in `order` epochs begin at `starts`."""
    sorted_ = np.array([known, _filled(columns, known, 0.0)])[:, :, order]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.add.reduceat(sorted_, starts, axis=2).swapaxes(1, 2)


def read_matrix(
    connection: sqlite3.Connection, lists: NameLists, phase: str, first: int, last: int
) -> tuple[Names, Floats, NDArray[np.bool_]]:
    """Names, values (rows, N) and which of them each row has, of rows `first` to `last`."""
    rows = connection.execute(_ROWS, (phase, first, last)).fetchall()
    runs = [(number, [blob for _, blob in same]) for number, same in groupby(rows, itemgetter(0))]
    if len(runs) == 1:
        number, blobs = runs[0]
        values = unpack(b"".join(blobs)).reshape(len(blobs), -1)
        return lists.names(number), values, np.ones(values.shape, dtype=bool)
    each = [lists.names(number) for number in dict.fromkeys(number for number, _ in runs)]
    names = tuple(dict.fromkeys(name for known in each for name in known))
    places = {name: place for place, name in enumerate(names)}
    values, has = np.full((len(rows), len(names)), np.nan), np.zeros((len(rows), len(names)), bool)
    at = 0
    for number, blobs in runs:
        to = [places[name] for name in lists.names(number)]
        found = unpack(b"".join(blobs)).reshape(len(blobs), -1)
        values[at : at + len(blobs), to] = found
        has[at : at + len(blobs), to] = True
        at += len(blobs)
    return names, values, has
