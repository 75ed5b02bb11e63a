"""How smooth a map is: whether neighboring cells hold alike values."""

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import Floats, as_map
from analyzer_service.analyses.status import OK, status_codes
from analyzer_service.analyses.values import unit_scale


def moran_i(gate: ArrayLike) -> float:
    """Moran's I of one map, each cell against its up to 8 neighbors with equal weights.

    Parameters
    ----------
    gate : array of shape (H, W)

    Returns
    -------
    float
        Near 1 for a smooth map, ``-1 / (H W - 1)`` expected of unstructured noise, about -0.5
        (the least there is) for stripes of one cell; a checkerboard of single cells is just
        below 0, because its diagonal neighbors agree. NaN for a map that is constant, tiny or
        not finite.

    Raises
    ------
    ArrayError
        If `gate` is not a real-valued 2-D array.

    Notes
    -----
    P. A. P. Moran, "Notes on continuous stochastic phenomena", Biometrika 37 (1950) 17-23, with
    queen contiguity and binary weights.
    """
    return float(stack_moran_i(as_map(gate)[None])[0])


def stack_moran_i(maps: Floats) -> Floats:
    """`moran_i` of each map of a stack (N, H, W); shape (N,)."""
    result = np.full(len(maps), np.nan)
    shaped = status_codes(maps) == OK
    if shaped.any():
        result[shaped] = _moran_i(unit_scale(maps[shaped])[0])
    return result


def _moran_i(maps: Floats) -> Floats:
    cells = maps.shape[1] * maps.shape[2]
    centered = maps - maps.mean(axis=(1, 2), keepdims=True)
    pairs = [
        (centered[:, :, :-1], centered[:, :, 1:]),
        (centered[:, :-1], centered[:, 1:]),
        (centered[:, :-1, :-1], centered[:, 1:, 1:]),
        (centered[:, :-1, 1:], centered[:, 1:, :-1]),
    ]
    products = sum((one * other).sum(axis=(1, 2)) for one, other in pairs)
    neighbors = sum(one.shape[1] * one.shape[2] for one, _ in pairs)
    result: Floats = cells / neighbors * products / (centered * centered).sum(axis=(1, 2))
    return result
