"""Attention as a distribution of mass over the tile: excess density and exact regridding."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map
from analyzer_service.analyses.status import OK, STATUSES, status_codes
from analyzer_service.analyses.values import unit_scale

GRID: Final = 8  # cells a side of the common grid of all layers
BASELINE_QUANTILE: Final = 0.25
ALL_AT_TOP: Final = 1e-6  # of the range: less than this above the quartile is nothing


def regrid(field: ArrayLike, shape: tuple[int, int]) -> Floats:
    """Field resampled to `shape` so that its mass moves but never changes.

    Each input cell is spread over the output cells in proportion to the area that they share,
    larger or smaller, whether or not the sizes divide.

    Parameters
    ----------
    field : array of shape (..., H, W)
    shape : (int, int)
        Rows and columns of the result, at least 1 each.

    Returns
    -------
    ndarray of shape (..., *shape), float64
        Sums to the same as `field`.

    Raises
    ------
    ArrayError
        If there are no cells to take mass from or to put it into.

    Examples
    --------
    >>> regrid([[1.0, 2.0, 3.0]], (1, 2))
    array([[2., 4.]])
    """
    values = np.asarray(field, dtype=np.float64)
    if values.ndim < 2 or 0 in values.shape[-2:] or min(shape) < 1:
        raise ArrayError(f"cannot regrid a field of shape {values.shape} to {shape}")
    rows = overlap_matrix(shape[0], values.shape[-2])
    columns = overlap_matrix(shape[1], values.shape[-1])
    result: Floats = rows @ values @ columns.T
    return result


@lru_cache(maxsize=64)
def overlap_matrix(cells_out: int, cells_in: int) -> Floats:
    """Operator of `regrid` along one axis: the share of each input cell in each output cell.

    Returns
    -------
    ndarray of shape (cells_out, cells_in), read-only
        Non-negative; every column sums to 1.

    Examples
    --------
    >>> overlap_matrix(2, 3)
    array([[1. , 0.5, 0. ],
           [0. , 0.5, 1. ]])
    """
    out = np.arange(cells_out)[:, None] * cells_in  # edges in units of 1 / (out * in), whole
    cell = np.arange(cells_in)[None, :] * cells_out
    shared = np.minimum(out + cells_in, cell + cells_out) - np.maximum(out, cell)
    matrix: Floats = np.maximum(shared, 0) / cells_out
    matrix.flags.writeable = False
    return matrix


def excess(maps: Floats) -> Floats:
    """What each map has above its own baseline, scaled by a power of two.

    The baseline is the lower quartile (linear percentile): a gate's offset says nothing about
    where it looks, and its single lowest cell is often made by padding. Where more than three
    quarters of the cells are at the maximum it is the minimum instead.

    Parameters
    ----------
    maps : ndarray of shape (N, H, W), finite, none of them constant

    Returns
    -------
    ndarray of shape (N, H, W)
        Non-negative, with a positive sum.
    """
    scaled, _ = unit_scale(maps)
    flat = scaled.reshape(len(scaled), -1)
    high, low = flat.max(axis=1), flat.min(axis=1)
    quartile = lower_quartile(flat)
    base = np.where(high - quartile <= ALL_AT_TOP * (high - low), low, quartile)
    return np.maximum(scaled - base[:, None, None], 0.0)


def lower_quartile(values: Floats) -> Floats:
    """25th percentile of each row, linear between order statistics as `numpy.quantile` has it."""
    position = BASELINE_QUANTILE * (values.shape[1] - 1)
    below = int(position)
    weight = position - below
    ordered = np.partition(values, [below, below + 1], axis=1)
    low, high = ordered[:, below], ordered[:, below + 1]
    if weight >= 0.5:
        low, high, weight = high, low, 1.0 - weight
    quartile: Floats = low + (high - low) * weight
    return quartile


def densities(excesses: Floats) -> tuple[Floats, Floats]:
    """Native density and density on the common 8 x 8 grid of each excess map.

    Returns
    -------
    native : ndarray of shape (N, H, W)
    common : ndarray of shape (N, 8, 8)
        Both non-negative; each map sums to 1.
    """
    total = excesses.sum(axis=(1, 2))[:, None, None]
    native: Floats = excesses / total
    common: Floats = regrid(excesses, (GRID, GRID)) / total
    return native, common


def excess_density(gate: ArrayLike) -> Floats:
    """Density p of one map (H, W) above its baseline, on the map's own grid; sums to 1.

    Raises
    ------
    ArrayError
        If `gate` is no 2-D map, or has no density: it is constant, tiny or not finite.
    """
    maps = as_map(gate)[None]
    code = int(status_codes(maps)[0])
    if code != OK:
        raise ArrayError(f"a map that is {STATUSES[code]} has no density: check `map_status` first")
    native: Floats = densities(excess(maps))[0][0]
    return native
