"""How widely the mass of a density is spread, whatever its place: entropy, shares, inequality."""

import math
from typing import Final

import numpy as np

from analyzer_service.analyses.arrays import Floats

TOP_SHARE: Final = 0.10
NEAR_EMPTY: Final = 0.1  # of the largest cell
TIE: Final = 1e-9  # relative: cells this close to a limit lie on it, whatever the rounding


def entropy(density: Floats) -> Floats:
    """Shannon entropy in nats of each density (..., H, W), from 0 to ln(H W); 0 ln 0 is 0."""
    logs = np.log(density, out=np.zeros_like(density), where=density > 0)
    cells = density.shape[-2] * density.shape[-1]
    total: Floats = np.clip(-(density * logs).sum(axis=(-2, -1)), 0.0, math.log(cells))
    return total


def entropy_bits(density: Floats) -> Floats:
    """Shannon entropy in bits of each density (..., H, W), from 0 to log2(H W)."""
    return entropy(density) / math.log(2.0)


def effective_area(density: Floats) -> Floats:
    """Share of the tile that a uniform density of the same entropy would cover, to 1."""
    cells = density.shape[-2] * density.shape[-1]
    area: Floats = np.minimum(np.exp(entropy(density)) / cells, 1.0)
    return area


def concentration(density: Floats, *, share: float = TOP_SHARE) -> Floats:
    """Mass in the most attended `share` of the area of each density (..., H, W).

    One minus the Lorenz curve at ``1 - share``: whole cells from the largest down and the
    right fraction of the next one.

    Returns
    -------
    ndarray of shape (...)
        Unitless, from `share` (uniform) to 1.

    Examples
    --------
    >>> round(float(concentration(np.full((8, 8), 1 / 64))), 6)
    0.1
    """
    ordered = _sorted_cells(density)[..., ::-1]
    wanted = share * ordered.shape[-1]
    whole = int(wanted)
    rest = ordered[..., whole : whole + 1].sum(axis=-1) * (wanted - whole)
    mass: Floats = np.clip(ordered[..., :whole].sum(axis=-1) + rest, share, 1.0)
    return mass


def sparsity(density: Floats) -> Floats:
    """Share of cells with less than a tenth of the largest cell's mass; [0, 1)."""
    largest = density.max(axis=(-2, -1), keepdims=True)
    empty: Floats = (density < NEAR_EMPTY * largest * (1.0 - TIE)).mean(axis=(-2, -1))
    return empty


def gini(density: Floats) -> Floats:
    """Gini coefficient of the cells: half the mean absolute difference over the mean; [0, 1)."""
    ordered = _sorted_cells(density)
    cells = ordered.shape[-1]
    weights = 2.0 * np.arange(1, cells + 1) - cells - 1.0
    inequality: Floats = ordered @ weights / (cells * ordered.sum(axis=-1))
    return np.clip(inequality, 0.0, 1.0)


def _sorted_cells(density: Floats) -> Floats:
    return np.sort(density.reshape(*density.shape[:-2], -1), axis=-1)
