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
    planes = _sum_and_difference(x, y)
    mean = _local_mean(planes)
    planes *= planes
    variance = _local_mean(planes)
    mean *= mean
    variance -= mean
    shares, bottoms = planes  # their memory is free now
    _floored_ratio(mean, (K1 * peak) ** 2, shares, bottoms)
    _floored_ratio(variance, (K2 * peak) ** 2, *mean)
    shares *= mean[0]
    bottoms *= mean[1]
    shares /= bottoms
    edge = WINDOW // 2
    return float(shares[edge:-edge, edge:-edge].sum())


def _sum_and_difference(x: Plane, y: Plane) -> Plane:
    """Both in one array (2, H, W), float64."""
    planes = np.empty((2, *x.shape))
    exact = np.int16 if x.dtype == np.uint8 else np.float64  # of bytes, int16 is twice as fast
    planes[0] = np.add(x, y, dtype=exact)
    planes[1] = np.subtract(x, y, dtype=exact)
    return planes


def _floored_ratio(pair: Plane, floor: float, top: Plane, bottom: Plane) -> None:
    """Parts of (one - other) / (one + other) with SSIM's floor in both; the pair is used up."""
    one, other = pair
    one += 2 * floor
    np.subtract(one, other, out=top)
    np.add(one, other, out=bottom)


def _local_mean(planes: Plane) -> Plane:
    """Gaussian mean around every pixel of both planes; wrong near the edges, where they meet."""
    _, height, width = planes.shape
    stacked = planes.reshape(2 * height, width)
    return cv2.sepFilter2D(stacked, -1, _WEIGHTS, _WEIGHTS).reshape(planes.shape)


def _gaussian() -> Plane:
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    normalized: Plane = weights / weights.sum()
    return normalized


_WEIGHTS: Final = _gaussian()
