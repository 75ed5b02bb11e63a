"""Pairs of cells of a grid, sorted into classes of equal width by their distance."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class DistanceClasses:
    """What the distance classes of one grid need to become a correlogram or a variance.

    Attributes
    ----------
    grid : tuple of three int
        H, W and the number of classes asked for.
    shape : tuple of two int
        Sides of the zero-padded plane on which products over all lags do not wrap around.
    lags : ndarray of shape (L,), int
        Positions of the lags of a half plane in the first H rows of that plane, class by class.
    starts : ndarray of shape (K,), int
        Where each of the K classes that hold any pair begins in `lags`.
    pairs : ndarray of shape (K,), float
        Number of unordered pairs of cells in each class.
    form : ndarray of shape (K, K), float
        ``form[k, l]`` is the number of ordered pairs that are in classes k and l at once, less
        2 / n times the sum over cells of their numbers of partners in class k and in class l.
    """

    grid: tuple[int, int, int]
    shape: tuple[int, int]
    lags: Indices
    starts: Indices
    pairs: Floats
    form: Floats


def default_nclass(height: int, width: int) -> int:
    """Classes one cell wide: ``ceil(hypot(H - 1, W - 1))``, at least 1."""
    return max(1, math.ceil(math.hypot(height - 1, width - 1)))


@lru_cache(maxsize=32)
def distance_classes(height: int, width: int, nclass: int) -> DistanceClasses:
    """Distance classes of a grid of H x W cells, both at least 2; kept for the next time.

    Class k holds the distances d with ``bound[k - 1] < d <= bound[k]``; the bounds are the
    running sum of the largest distance over `nclass`, as in SpatialPack: so ties fall alike.
    Classes without any pair are left out.
    """
    class_of = _class_of_offset(height, width, nclass)
    shape = (_padded(height), _padded(width))
    rows, columns = _half_plane(height, width)
    found = class_of[rows, np.abs(columns)]
    order = np.argsort(found, kind="stable")
    used, starts = np.unique(found[order], return_index=True)
    placements = (height - rows) * (width - np.abs(columns))
    pairs = np.bincount(found, placements, nclass)[used].astype(np.float64)
    lags = (rows * shape[1] + columns % shape[1])[order]
    form = np.diag(2.0 * pairs) - 2.0 / (height * width) * _shared_partners(class_of, used)
    for array in (lags, starts, pairs, form):
        array.flags.writeable = False
    return DistanceClasses((height, width, nclass), shape, lags, starts, pairs, form)


def _class_of_offset(height: int, width: int, nclass: int) -> Indices:
    """Class of each offset (|rows|, |columns|); the offset (0, 0) belongs to none."""
    distances = np.hypot(*np.indices((height, width)))
    step = distances[-1, -1] / nclass
    bounds = np.cumsum(np.full(nclass, step))
    classes: Indices = np.minimum(np.searchsorted(bounds, distances), nclass - 1)
    return classes


def _half_plane(height: int, width: int) -> tuple[Indices, Indices]:
    """Offsets of which each is one of a pair of opposite ones."""
    rows, columns = np.mgrid[:height, 1 - width : width].reshape(2, -1)
    ahead = (rows > 0) | (columns > 0)
    return rows[ahead], columns[ahead]


def _padded(side: int) -> int:
    from scipy.fft import next_fast_len  # with the first tile that is tested

    length: int = next_fast_len(2 * side - 1, real=True)
    return length


def _shared_partners(class_of: Indices, used: Indices) -> Floats:
    """Sum over cells of the products of their numbers of partners in each two classes.

    A quarter of the grid stands for the other three, which mirror it. All numbers are whole, so
    the sums are exact. A row of cells at a time: of all cells at once a gate of 512 x 512, with
    723 classes, takes 400 MB.
    """
    height, width = class_of.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    rings = _Partners(class_of, used, columns)
    own = rings.in_row(0)
    above, below = own.copy(), sum(map(rings.in_row, range(1, height)), start=own.copy())
    mirrored = _mirrors(width, columns)
    result = np.zeros((len(used), len(used)))
    for row, times in enumerate(_mirrors(height, rows)):
        if row:
            above += rings.in_row(row)
            below -= rings.in_row(height - row)
        partners = above + below - own
        result += (partners * (times * mirrored)) @ partners.T
    return result


@dataclass(frozen=True)
class _Partners:
    """Partners that the cells of a row, the first `columns` of them, have in a row so far away."""

    class_of: Indices
    used: Indices
    columns: int

    def in_row(self, away: int) -> Floats:
        """Number in each class, shape (K, columns): classes grow along a row from below a cell."""
        classes = self.class_of[away]
        first, end = (np.searchsorted(classes, self.used, side) for side in ("left", "right"))
        return self._nearer(end, away) - self._nearer(first, away)

    def _nearer(self, limit: Indices, away: int) -> Floats:
        """Partners fewer than `limit` (K,) columns to either side; a cell is not its own."""
        left = np.arange(self.columns)
        right = self.class_of.shape[1] - 1 - left
        straight = 1 if away else 0
        reach = np.maximum(limit - 1, 0)[:, None]
        beside = np.minimum(reach, left) + np.minimum(reach, right)
        found: Floats = (beside + straight * (limit > 0)[:, None]).astype(np.float64)
        return found


def _mirrors(side: int, half: int) -> Floats:
    counts = np.full(half, 2.0)
    if side % 2:
        counts[-1] = 1.0
    return counts
