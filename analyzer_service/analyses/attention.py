"""What one attention map looks like, in numbers; the public face of the attention analyses.

A map is the gate of one layer for one tile, averaged over channels: an array (H, W) of any size
from 2 x 2. `docs/metrics.md` says how to read each number.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.agreement import (
    pearson,
    position_bias,
    spatial_consistency,
    temporal_consistency,
)
from analyzer_service.analyses.arrays import ArrayError, Floats, as_map, as_maps
from analyzer_service.analyses.autocorrelation import moran_i
from analyzer_service.analyses.density import GRID, densities, excess, excess_density, regrid
from analyzer_service.analyses.peaks import peak_metrics, persistences
from analyzer_service.analyses.position import (
    center_distance,
    radial_distance,
    spatial_variance,
    uniform_radial_distance,
)
from analyzer_service.analyses.spread import (
    TOP_SHARE,
    concentration,
    effective_area,
    entropy,
    entropy_bits,
    gini,
    sparsity,
)
from analyzer_service.analyses.status import FLAT, OK, MapStatus, map_status, status_codes
from analyzer_service.analyses.values import value_metrics

__all__ = [
    "METRIC_NAMES",
    "ArrayError",
    "MapStatus",
    "attention_metrics",
    "excess_density",
    "map_status",
    "moran_i",
    "pearson",
    "persistences",
    "position_bias",
    "regrid",
    "spatial_consistency",
    "stack_metrics",
    "temporal_consistency",
]

METRIC_NAMES: Final = (
    "attention_entropy",
    "attention_effective_area",
    "attention_entropy_native_bits",
    "attention_concentration_10",
    "attention_sparsity",
    "attention_gini",
    "attention_center_distance",
    "attention_radial_distance",
    "attention_spatial_variance",
    "num_attention_peaks",
    "peak_coverage",
    "attention_contrast",
    "attention_mean",
    "attention_std",
    "attention_min",
    "attention_max",
)


def attention_metrics(gate: ArrayLike) -> dict[str, float]:
    """All metrics of one attention map.

    Parameters
    ----------
    gate : array of shape (H, W)
        Raw values of the gate; any real dtype, computed in float64, never modified.

    Returns
    -------
    dict of str to float
        `METRIC_NAMES` in order. All NaN for a map that is not finite or has a side under
        2 cells. A constant map has the values of the uniform density and no peaks.

    Raises
    ------
    ArrayError
        If `gate` is not a real-valued 2-D array.

    Examples
    --------
    >>> gate = np.zeros((16, 16))
    >>> gate[4:6, 4:6] = 1.0
    >>> metrics = attention_metrics(gate)
    >>> metrics["num_attention_peaks"], metrics["attention_effective_area"]
    (1.0, 0.015625)
    """
    columns = stack_metrics(as_map(gate)[None])
    return {name: float(column[0]) for name, column in columns.items()}


def stack_metrics(maps: ArrayLike) -> dict[str, Floats]:
    """`attention_metrics` of each map of a stack (N, H, W), as columns of shape (N,)."""
    stack = as_maps(maps)
    columns = {name: np.full(len(stack), np.nan) for name in METRIC_NAMES}
    codes = status_codes(stack)
    shaped, flat = codes == OK, codes == FLAT
    if shaped.any():
        _fill(columns, shaped, _pattern_metrics(stack[shaped]))
    if flat.any():
        _fill(columns, flat, value_metrics(stack[flat]))
        _fill(columns, flat, _flat_limits(*stack.shape[1:]))
    return columns


def _fill(
    columns: dict[str, Floats], where: NDArray[np.bool_], values: Mapping[str, Floats | float]
) -> None:
    for name, value in values.items():
        columns[name][where] = value


def _pattern_metrics(maps: Floats) -> dict[str, Floats]:
    excesses = excess(maps)
    native, common = densities(excesses)
    return {
        "attention_entropy": entropy(common),
        "attention_effective_area": effective_area(common),
        "attention_entropy_native_bits": entropy_bits(native),
        "attention_concentration_10": concentration(common),
        "attention_sparsity": sparsity(common),
        "attention_gini": gini(common),
        "attention_center_distance": center_distance(native),
        "attention_radial_distance": radial_distance(native),
        "attention_spatial_variance": spatial_variance(native),
        **peak_metrics(excesses),
        **value_metrics(maps),
    }


def _flat_limits(height: int, width: int) -> dict[str, float]:
    """Values of the uniform density, which a map without any pattern tends to."""
    return {
        "attention_entropy": math.log(GRID * GRID),
        "attention_effective_area": 1.0,
        "attention_entropy_native_bits": math.log2(height * width),
        "attention_concentration_10": TOP_SHARE,
        "attention_sparsity": 0.0,
        "attention_gini": 0.0,
        "attention_center_distance": 0.0,
        "attention_radial_distance": uniform_radial_distance(height, width),
        "attention_spatial_variance": 1.0,
        "num_attention_peaks": 0.0,
        "peak_coverage": 0.0,
        "attention_contrast": 0.0,
    }
