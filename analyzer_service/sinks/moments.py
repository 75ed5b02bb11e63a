"""Mean, SD, extremes and quantiles of many metrics in one pass and bounded memory.

Values are folded in chunks of a fixed count, so the same values in the same order give the
same bits. What is not finite (NaN, infinity) or missing (None) is counted as undefined.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.totals import Totals

CHUNK: Final = 256
KEPT_VALUES: Final = 16_384


@dataclass
class Moments:
    """Running statistics of one metric.

    Attributes
    ----------
    n, undefined : int
        How many values were finite, and how many were not.
    mean, low, high : float
        Of the finite values; NaN when there are none.
    """

    n: int = 0
    undefined: int = 0
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    _squares: float = 0.0

    @classmethod
    def by_name(cls, totals: Totals) -> dict[str, "Moments"]:
        """Of rows that are put together already; undefined are those that have no finite value."""
        means = np.where(totals.counts > 0, totals.means, np.nan)
        columns = (totals.counts, totals.present, means, totals.lows, totals.highs, totals.squares)
        values = [column.tolist() for column in columns]
        return {
            name: cls(int(n), int(present - n), mean, low, high, squares)
            for name, n, present, mean, low, high, squares in zip(
                totals.names, *values, strict=True
            )
        }

    @property
    def sd(self) -> float:
        """Sample standard deviation (n - 1 below the line); NaN for fewer than two values."""
        return math.sqrt(self._squares / (self.n - 1)) if self.n > 1 else math.nan

    def extend(self, values: NDArray[np.float64]) -> None:
        """Fold in `values`, by the pairwise update of Chan, Golub and LeVeque (1983)."""
        finite = values[np.isfinite(values)]
        self.undefined += values.size - finite.size
        if not finite.size:
            return
        center = float(finite.mean())
        squares = float(np.square(finite - center).sum())
        self._fold(finite.size, center, squares, (float(finite.min()), float(finite.max())))

    def extend_whole(self, chunks: NDArray[np.float64]) -> None:
        """`extend` by each row of `chunks` (N, n), whose values are finite, with the same bits."""
        centers = chunks.mean(axis=1)
        squares = np.square(chunks - centers[:, None]).sum(axis=1)
        extremes = zip(chunks.min(axis=1).tolist(), chunks.max(axis=1).tolist(), strict=True)
        each = zip(centers.tolist(), squares.tolist(), extremes, strict=True)
        for center, square, extreme in each:
            self._fold(chunks.shape[1], center, square, extreme)

    def _fold(self, n: int, center: float, squares: float, extremes: tuple[float, float]) -> None:
        low, high = extremes
        if self.n:
            total, delta = self.n + n, center - self.mean
            squares += self._squares + delta * delta * self.n * n / total
            center = self.mean + delta * n / total
            low, high = min(low, self.low), max(high, self.high)
        self.n += n
        self.mean, self.low, self.high, self._squares = center, low, high, squares


@dataclass
class Kept:
    """Values kept for quantiles: all of them, or every second, fourth, … beyond `KEPT_VALUES`."""

    values: list[float] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0

    def extend(self, values: NDArray[np.float64]) -> None:
        """Keep the finite ones of `values`, thinned evenly in their order."""
        finite = values[np.isfinite(values)]
        picked = finite[-self._seen % self._stride :: self._stride]
        if len(self.values) + len(picked) <= KEPT_VALUES:
            self.values += picked.tolist()
            self._seen += len(finite)
            return
        for value in finite.tolist():
            if self._seen % self._stride == 0:
                self.values.append(value)
                if len(self.values) > KEPT_VALUES:
                    self.values = self.values[::2]
                    self._stride *= 2
            self._seen += 1

    def quantiles(self, *shares: float) -> list[float]:
        """Quantiles (linear, as numpy's default) at `shares` in [0, 1]; NaN without values."""
        if not self.values:
            return [math.nan] * len(shares)
        return [float(q) for q in np.quantile(np.asarray(self.values), shares)]


@dataclass
class Column:
    """One metric: its moments and, when asked for, the values kept for quantiles."""

    moments: Moments = field(default_factory=Moments)
    kept: Kept | None = None
    _waiting: list[float] = field(default_factory=list)

    def add(self, value: float | None) -> None:
        """Take one value; None is undefined."""
        self._waiting.append(math.nan if value is None else value)
        if len(self._waiting) >= CHUNK:
            self.settle()

    def extend(self, values: NDArray[np.float64]) -> None:
        """Take values (N,), with the same bits as one after the other."""
        waiting = np.concatenate([self._waiting, values])
        whole = len(waiting) - len(waiting) % CHUNK
        if whole:
            chunks = waiting[:whole].reshape(-1, CHUNK)
            if np.isfinite(chunks).all():
                self._fold_whole(chunks)
            else:
                for chunk in chunks:
                    self._fold(chunk)
        self._waiting = waiting[whole:].tolist()

    def _fold_whole(self, chunks: NDArray[np.float64]) -> None:
        """`_fold` each of `chunks` (N, CHUNK), all of whose values are finite."""
        self.moments.extend_whole(chunks)
        if self.kept is not None:
            for chunk in chunks:
                self.kept.extend(chunk)

    def settle(self) -> None:
        """Fold what is waiting into the statistics."""
        self._fold(np.asarray(self._waiting, dtype=np.float64))
        self._waiting.clear()

    def _fold(self, values: NDArray[np.float64]) -> None:
        self.moments.extend(values)
        if self.kept is not None:
            self.kept.extend(values)


class Table:
    """Statistics of every metric of the rows that are added.

    Examples
    --------
    >>> table = Table()
    >>> table.add({"loss": 1.0, "ssim": None})
    >>> table.add({"loss": 3.0, "ssim": 0.5})
    >>> table.columns()["loss"].moments.mean, table.columns()["ssim"].moments.undefined
    (2.0, 1)
    """

    def __init__(self, *, quantiles: bool = False) -> None:
        self._quantiles = quantiles
        self._columns: dict[str, Column] = {}
        self.rows = 0

    @classmethod
    def of(cls, moments: Mapping[str, Moments], *, rows: int) -> "Table":
        """Statistics of `rows` rows that are put together already."""
        table = cls()
        table.rows = rows
        table._columns = {name: Column(moments=each) for name, each in moments.items()}
        return table

    def add(self, values: Mapping[str, Any]) -> None:
        """Add one row; every value must be a number or None."""
        self.rows += 1
        for name, value in values.items():
            self._column(name).add(value)

    def extend(self, names: Sequence[str], values: NDArray[np.float64]) -> None:
        """Add rows as a matrix (N, len(names)), with the same bits as one after the other."""
        self.rows += len(values)
        for name, column in zip(names, values.T, strict=True):
            self._column(name).extend(column)

    def columns(self) -> dict[str, Column]:
        """The columns by name, everything added so far folded in."""
        for column in self._columns.values():
            column.settle()
        return self._columns

    def moments(self, name: str) -> Moments:
        """Statistics of one metric; empty ones for a name that never came."""
        column = self._columns.get(name)
        if column is None:
            return Moments()
        column.settle()
        return column.moments

    def _column(self, name: str) -> Column:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = Column(kept=Kept() if self._quantiles else None)
        return column
