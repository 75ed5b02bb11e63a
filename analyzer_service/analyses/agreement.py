"""How alike maps are: between layers of one tile, between tiles, between epochs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map, as_maps
from analyzer_service.analyses.correlation import standardized
from analyzer_service.analyses.density import GRID, densities, excess
from analyzer_service.analyses.status import OK, status_codes

Maps: TypeAlias = Sequence[ArrayLike] | NDArray[Any] | Mapping[str, ArrayLike]

_NO_PATTERN: Final = np.empty((0, GRID * GRID))


def spatial_consistency(maps: Sequence[ArrayLike]) -> float:
    """How far the layers of one tile look at the same places.

    The mean over all pairs of layers of Pearson's correlation of their densities on the common
    8 x 8 grid. Layers without a pattern (constant, tiny, not finite) are left out.

    Parameters
    ----------
    maps : sequence of arrays of shape (H, W), one a layer; sizes may differ

    Returns
    -------
    float
        In [-1, 1]; NaN with fewer than two layers that have a pattern.

    Raises
    ------
    ArrayError
        If one of `maps` is not a real-valued 2-D array.
    """
    patterns = [layer_patterns(as_map(gate)[None]) for gate in maps]
    return pattern_consistency(np.concatenate([_NO_PATTERN, *patterns]))


def layer_patterns(maps: Floats) -> Floats:
    """Densities of one layer's maps (N, H, W) on the common grid, ready to be correlated.

    Returns
    -------
    ndarray of shape (N, 64)
        Rows of mean 0 and length 1; NaN for a map without a pattern.
    """
    patterns = np.full((len(maps), GRID * GRID), np.nan)
    shaped = np.flatnonzero(status_codes(maps) == OK)
    if len(shaped):
        common = densities(excess(maps[shaped]))[1]
        visible = status_codes(common) == OK  # a fine checkerboard is flat on the common grid
        patterns[shaped[visible]] = standardized(common[visible])
    return patterns


def pattern_consistency(patterns: Floats) -> float:
    """`spatial_consistency` of one tile, from its row of each layer's `layer_patterns`."""
    return _mean_pair_correlation(patterns[~np.isnan(patterns[:, 0])])


def position_bias(maps: ArrayLike) -> float:
    """How alike one layer's maps of different tiles are: near 1, content does not matter.

    The mean of Pearson's correlation over all pairs of different tiles. Maps without a pattern
    (constant, tiny, not finite) are left out.

    Parameters
    ----------
    maps : array of shape (N, H, W)

    Returns
    -------
    float
        In [-1, 1]; NaN with fewer than two maps that have a pattern.

    Raises
    ------
    ArrayError
        If `maps` is not a stack of real-valued maps of one size.
    """
    stack = as_maps(maps)
    shaped = stack[status_codes(stack) == OK]
    return _mean_pair_correlation(standardized(shaped)) if len(shaped) > 1 else math.nan


def temporal_consistency(maps_a: Maps, maps_b: Maps) -> float:
    """How alike one layer's maps of the same tiles are at two epochs.

    The mean over tiles of Pearson's correlation of a tile's two maps. Tiles with a map that has
    no pattern (constant, tiny, not finite) are left out.

    Parameters
    ----------
    maps_a, maps_b : mapping of sample id to array (H, W), or sequence of such arrays
        Of mappings, the samples that both hold are compared; sequences go by position.

    Returns
    -------
    float
        In [-1, 1]; NaN where no tile can be compared.

    Raises
    ------
    ArrayError
        If only one is a mapping, sequences differ in length, or a tile's maps in size.
    """
    values = [pearson(one, other) for one, other in _pairs(maps_a, maps_b)]
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def pearson(map_a: ArrayLike, map_b: ArrayLike) -> float:
    """Pearson's correlation of two maps (H, W); NaN unless both have a pattern.

    Raises
    ------
    ArrayError
        If one is not a real-valued 2-D array, or their sizes differ.
    """
    return float(paired_correlations(as_map(map_a)[None], as_map(map_b)[None])[0])


def paired_correlations(maps_a: ArrayLike, maps_b: ArrayLike) -> Floats:
    """`pearson` of each map of a stack (N, H, W) with the one at its place in another stack.

    Returns
    -------
    ndarray of shape (N,)
        In [-1, 1]; NaN unless both maps have a pattern.

    Raises
    ------
    ArrayError
        If one is not a stack of real-valued maps, or they differ in number or size.
    """
    one, other = as_maps(maps_a), as_maps(maps_b)
    if one.shape != other.shape:
        raise ArrayError(f"maps to compare must have one size, got {one.shape} and {other.shape}")
    values = np.full(len(one), np.nan)
    shaped = (status_codes(one) == OK) & (status_codes(other) == OK)
    if shaped.any():
        products = standardized(one[shaped]) * standardized(other[shaped])
        values[shaped] = np.clip(products.sum(axis=1), -1.0, 1.0)
    return values


def _pairs(maps_a: Maps, maps_b: Maps) -> list[tuple[ArrayLike, ArrayLike]]:
    if isinstance(maps_a, Mapping) and isinstance(maps_b, Mapping):
        return [(maps_a[key], maps_b[key]) for key in sorted(maps_a.keys() & maps_b.keys())]
    if isinstance(maps_a, Mapping) or isinstance(maps_b, Mapping) or len(maps_a) != len(maps_b):
        raise ArrayError(
            "maps of two epochs must both be given by id, or both in one order and number"
        )
    return list(zip(maps_a, maps_b, strict=True))


def _mean_pair_correlation(rows: Floats) -> float:
    """Mean of r over all pairs, from the length of the sum: no pair is looked at by itself."""
    count = len(rows)
    if count < 2:
        return math.nan
    total = rows.sum(axis=0)
    mean = (float(total @ total) - float((rows * rows).sum())) / (count * (count - 1))
    return min(max(mean, -1.0), 1.0)
