"""Buckets of rows as matrices, and how parts of them are put together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Consecutive buckets, as matrices of shape (buckets, names).

    Attributes
    ----------
    means : ndarray
        NaN where no row of a bucket has a finite value; of single rows the values themselves.
    lows, highs : ndarray
        Least and largest finite value of a row in the bucket, NaN where there is none.
    """

    means: Floats
    lows: Floats
    highs: Floats


@dataclass(frozen=True, slots=True)
class Sums:
    """Buckets as matrices (buckets, names) of sums, counts, and extremes."""

    sums: Floats
    counts: Floats
    lows: Floats
    highs: Floats

    @classmethod
    def of_rows(cls, values: Floats, size: int) -> Self:
        """Each `size` consecutive rows as a bucket; the last one may hold fewer."""
        rows, names = values.shape
        padded = np.full((-(-rows // size) * size, names), np.nan)
        padded[:rows] = np.where(np.isfinite(values), values, np.nan)
        cube = padded.reshape(-(-rows // size), size, names)
        known = ~np.isnan(cube)
        return cls(
            _added(np.where(known, cube, 0.0)),
            known.sum(axis=1, dtype=np.float64),
            np.fmin.reduce(cube, axis=1),
            np.fmax.reduce(cube, axis=1),
        )

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Buckets of `parts` one after the other."""
        listed = list(parts)
        fields = ("sums", "counts", "lows", "highs")
        return cls(*(np.concatenate([getattr(p, name) for p in listed]) for name in fields))

    def folded(self) -> "Sums":
        """All buckets as one."""
        return Sums(
            _added(self.sums[None]),
            self.counts.sum(axis=0)[None],
            np.fmin.reduce(self.lows, axis=0)[None],
            np.fmax.reduce(self.highs, axis=0)[None],
        )

    def buckets(self) -> Buckets:
        """Means and extremes."""
        means = np.where(self.counts > 0, self.sums / np.maximum(self.counts, 1), np.nan)
        return Buckets(means, self.lows, self.highs)


def _added(cube: Floats) -> Floats:
    """Sums over the middle axis."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.add.reduce(cube, axis=1))
