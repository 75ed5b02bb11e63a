"""Two maps as densities of attention: how much they share, how far one is from the other."""

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map


def similarity(one: ArrayLike, other: ArrayLike) -> float:
    """Mass that two densities have in common (SIM), in [0, 1]; NaN for a map without mass.

    A map with negative values is raised by its minimum first, any other is taken as it is.

    Raises
    ------
    ArrayError
        If the maps are not real-valued and of one size.

    Notes
    -----
    Z. Bylinskii et al., "What do different evaluation metrics tell us about saliency models?",
    IEEE TPAMI 41 (2019) 740-757.

    Examples
    --------
    >>> similarity([[1.0, 1.0]], [[1.0, 0.0]])
    0.5
    """
    first, second = _densities(one, other)
    return float(np.minimum(first, second).sum())


def divergence(of: ArrayLike, given: ArrayLike) -> float:
    """Kullback-Leibler divergence of the density `of` from `given`, in nats.

    Infinite where `of` has mass and `given` none; NaN for a map without mass.

    Raises
    ------
    ArrayError
        If the maps are not real-valued and of one size.
    """
    p, q = _densities(of, given)
    if np.isnan(p).any() or np.isnan(q).any():
        return float("nan")
    present = p > 0
    if (q[present] == 0).any():
        return float("inf")
    return float((p[present] * np.log(p[present] / q[present])).sum())


def _densities(one: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats]:
    maps = as_map(one), as_map(other)
    if maps[0].shape != maps[1].shape:
        raise ArrayError(f"maps must have one size, got {maps[0].shape} and {maps[1].shape}")
    first, second = (_density(found) for found in maps)
    return first, second


def _density(found: Floats) -> Floats:
    low = float(found.min()) if found.size else 0.0
    raised = found - low if low < 0 else found
    total = float(raised.sum())
    if not np.isfinite(total) or total <= 0:
        return np.full(found.shape, np.nan)
    return raised / total
