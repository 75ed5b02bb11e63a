"""How far from each other nuclei lie, and how evenly."""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import Floats

_FEW: Final = 256  # points that are all compared with all
_POINTS_TOGETHER: Final = 64
_FAR: Final = 2.5  # sides of the square that each point would have for itself


def spacing(centroids: ArrayLike, *, pixels: float) -> dict[str, float]:
    """How far nuclei are from each other, and how evenly they lie.

    Parameters
    ----------
    centroids : array of shape (N, 2)
        Positions in pixels.
    pixels : float
        Area of the tile.

    Returns
    -------
    dict of str to float
        ``nuclear_nn_distance``, the mean distance in pixels to the nearest neighbor, and
        ``clark_evans``, its ratio to that of points thrown at random: below 1 clustered, 1
        random, above 1 regular, at most 2.15. Both NaN for fewer than two nuclei.

    Notes
    -----
    P. J. Clark, F. C. Evans, "Distance to nearest neighbor as a measure of spatial relationships
    in populations", Ecology 35 (1954) 445-453; without a correction for the tile's edges, so
    that few nuclei come out more regular than they are.
    """
    points = np.asarray(centroids, dtype=np.float64)
    if len(points) < 2:
        return {"nuclear_nn_distance": math.nan, "clark_evans": math.nan}
    mean = float(np.sqrt(_nearest_squared(points)).mean())
    return {
        "nuclear_nn_distance": mean,
        "clark_evans": 2 * mean * math.sqrt(len(points) / pixels),
    }


def _nearest_squared(points: Floats) -> Floats:
    """Squared distance of each point (N, 2) to the nearest other one.

    For the tens to hundreds of nuclei of a tile this is faster than a tree, and what a worker does
    not import it does not wait for.
    """
    row, col = np.ascontiguousarray(points.T)
    if len(row) <= _FEW:
        return _least(row, col, np.arange(len(row)), slice(0, len(row)))
    order = np.argsort(row, kind="stable")
    nearest = np.empty(len(row))
    nearest[order] = _nearest_of_many(row[order], col[order])
    return nearest


def _nearest_of_many(row: Floats, col: Floats) -> Floats:
    """The same of points by rising row: compared with those a few rows around.

    Where none is there, with all others.
    """
    area = (row[-1] - row[0] + 1) * (np.ptp(col) + 1)
    reach = _FAR * math.sqrt(area / len(row))
    nearest = np.empty(len(row))
    for first in range(0, len(row), _POINTS_TOGETHER):
        block = np.arange(first, min(first + _POINTS_TOGETHER, len(row)))
        ends = row[block[0]] - reach, row[block[-1]] + reach
        near = slice(np.searchsorted(row, ends[0]), np.searchsorted(row, ends[1], side="right"))
        nearest[block] = _least(row, col, block, near)
        far = block[nearest[block] > reach * reach]
        if far.size:
            nearest[far] = _least(row, col, far, slice(0, len(row)))
    return nearest


def _least(row: Floats, col: Floats, of: NDArray[np.intp], among: slice) -> Floats:
    """Least squared distance of some points to the others in a stretch that they are in."""
    away = np.square(row[of, None] - row[among])
    away += np.square(col[of, None] - col[among])
    away[np.arange(len(of)), of - among.start] = np.inf
    return np.asarray(away.min(axis=1))
