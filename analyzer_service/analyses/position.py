"""Where the mass of a density lies in the tile, in units that do not depend on its size.

Cell (i, j) has its center at (i + 0.5, j + 0.5), the tile at (H / 2, W / 2); distances are
divided by half the tile's diagonal.
"""

from functools import lru_cache

import numpy as np

from analyzer_service.analyses.arrays import Floats


def center_distance(density: Floats) -> Floats:
    """Distance of the centroid of each density (..., H, W) from the tile's center; [0, 1)."""
    rows, columns = _axes(*density.shape[-2:])
    row, column = _centroid(density)
    distance: Floats = np.hypot(row, column) / _half_diagonal(len(rows), len(columns))
    return distance


def radial_distance(density: Floats) -> Floats:
    """Mean distance of the mass of each density (..., H, W) from the tile's center; [0, 1)."""
    height, width = density.shape[-2:]
    distance: Floats = (density * _radii(height, width)).sum(axis=(-2, -1))
    return distance / _half_diagonal(height, width)


def spatial_variance(density: Floats) -> Floats:
    """Spread of each density (..., H, W) around its centroid; 1 for a uniform tile, (0, 3).

    The variance inside a cell, 1/12 for each axis, counts too: so the number does not depend on
    how finely the map is sampled.
    """
    rows, columns = _axes(*density.shape[-2:])
    row, column = _centroid(density)
    by_row, by_column = density.sum(axis=-1), density.sum(axis=-2)
    spread: Floats = (by_row * (rows - row[..., None]) ** 2).sum(axis=-1)
    spread += (by_column * (columns - column[..., None]) ** 2).sum(axis=-1)
    return (spread + 1.0 / 6.0) / ((len(rows) ** 2 + len(columns) ** 2) / 12.0)


def uniform_radial_distance(height: int, width: int) -> float:
    """`radial_distance` of a uniform density on this grid; 0.541 for a fine square one."""
    return float(_radii(height, width).mean() / _half_diagonal(height, width))


def _centroid(density: Floats) -> tuple[Floats, Floats]:
    """Row and column of the centroid, measured from the tile's center."""
    rows, columns = _axes(*density.shape[-2:])
    return density.sum(axis=-1) @ rows, density.sum(axis=-2) @ columns


def _half_diagonal(height: int, width: int) -> float:
    return 0.5 * float(np.hypot(height, width))


@lru_cache(maxsize=64)
def _axes(height: int, width: int) -> tuple[Floats, Floats]:
    return _read_only(_offsets(height)), _read_only(_offsets(width))


@lru_cache(maxsize=64)
def _radii(height: int, width: int) -> Floats:
    return _read_only(np.hypot(_offsets(height)[:, None], _offsets(width)[None, :]))


def _offsets(cells: int) -> Floats:
    return np.arange(cells, dtype=np.float64) + 0.5 - cells / 2.0


def _read_only(array: Floats) -> Floats:
    array.flags.writeable = False
    return array
