"""Windowed structural similarity of two planes, fast and exact.

Written in the sum s and the difference d of the planes, as
``4 cov(x, y) = var(s) - var(d)`` and ``2 (var(x) + var(y)) = var(s) + var(d)``: four blurs instead
of five. In float64: where a plane is smooth a variance is the small difference of large squares,
and float32 (twice as fast) was seen to move the mean by up to 3e-5.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 11
SIGMA: Final = 1.5
K1: Final = 0.01
K2: Final = 0.03
STRIP_BYTES: Final = 250_000  # of one intermediate: a strip's few stay in the cache

Plane = NDArray[Any]


def plane_ssim(x: Plane, y: Plane, *, peak: float) -> float:
    """Mean SSIM of two planes (H, W) of values 0 to `peak`, both sides at least 11.

    The mean goes over the pixels whose whole window lies inside the planes.
    """
    height, width = x.shape
    total = math.fsum(_ssim_sum(x[rows], y[rows], peak) for rows in _strips(height, width))
    return float(total / ((height - WINDOW + 1) * (width - WINDOW + 1)))


def _strips(height: int, width: int) -> Iterator[slice]:
    """Rows of strips of about equal height that overlap as the windows do."""
    windows = height - WINDOW + 1
    in_one = max(WINDOW, STRIP_BYTES // (8 * width) - WINDOW + 1)
    count = -(-windows // in_one)
    for i in range(count):
        yield slice(windows * i // count, windows * (i + 1) // count + WINDOW - 1)


def _ssim_sum(x: Plane, y: Plane, peak: float) -> float:
    total, difference = np.add(x, y, dtype=np.float64), np.subtract(x, y, dtype=np.float64)
    mean_total, mean_difference = _local_mean(total), _local_mean(difference)
    total *= total
    difference *= difference
    var_total, var_difference = _local_mean(total), _local_mean(difference)
    mean_total *= mean_total
    mean_difference *= mean_difference
    var_total -= mean_total
    var_difference -= mean_difference
    luminance = _floored_ratio(mean_total, mean_difference, (K1 * peak) ** 2)
    luminance *= _floored_ratio(var_total, var_difference, (K2 * peak) ** 2)
    return float(luminance.sum())


def _floored_ratio(one: Plane, other: Plane, floor: float) -> Plane:
    """(one - other) / (one + other) with SSIM's floor in both; `one` is used up."""
    one += 2 * floor
    ratio = one - other
    one += other
    ratio /= one
    return ratio


def _local_mean(plane: Plane) -> Plane:
    edge = WINDOW // 2
    blurred = cv2.sepFilter2D(plane, -1, _WEIGHTS, _WEIGHTS)
    return np.ascontiguousarray(blurred[edge:-edge, edge:-edge])


def _gaussian() -> Plane:
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    normalized: Plane = weights / weights.sum()
    return normalized


_WEIGHTS: Final = _gaussian()
