"""Weighted sums of the channels of every pixel, strip by strip.

Intermediates of a whole tile would fall out of the cache and, freed after each tile, go back to
the system and be mapped anew: at 256 x 256 that takes longer than the sums.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats

STRIP_VALUES: Final = 32_768  # of one intermediate: a few stay in the cache


def mix(pixels: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Weighted sums over the last axis: ``pixels @ weights.T``, faster for so short an axis.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 3), float32 or float64, contiguous
    weights : ndarray of shape (K, 3), K from 1 to 4

    Returns
    -------
    ndarray of shape (H, W, K), or (H, W) if K is 1
        In the dtype of the pixels. A pixel with a NaN is NaN in every sum.
    """
    if pixels.size == 0:
        return np.empty(_shape(pixels, weights), dtype=pixels.dtype)
    mixed: NDArray[Any] = cv2.transform(pixels, weights.astype(pixels.dtype))
    return mixed


def mix_prepared(
    rgb: NDArray[Any],
    prepare: Callable[[NDArray[Any]], NDArray[Any]],
    weights: NDArray[Any],
) -> Floats:
    """``mix(prepare(rgb), weights)`` as float64, with `prepare` called on some rows at a time.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), contiguous
    prepare : function from (h, W, 3) to (h, W, 3)
        Of each pixel by itself; returns float32 or float64.
    weights : ndarray of shape (K, 3)
    """
    mixed: Floats = np.empty(_shape(rgb, weights))
    for rows in _strips(rgb):
        mixed[rows] = mix(prepare(rgb[rows]), weights)
    return mixed


def finite_or_nan(pixels: NDArray[Any]) -> NDArray[Any]:
    """Floats with NaN for the infinities, which would meet others in a sum and warn."""
    finite = np.isfinite(pixels)
    return pixels if finite.all() else np.where(finite, pixels, np.nan)


def _strips(rgb: NDArray[Any]) -> Iterator[slice]:
    if rgb.size == 0:
        return
    rows = max(1, STRIP_VALUES // rgb[0].size)
    for start in range(0, len(rgb), rows):
        yield slice(start, start + rows)


def _shape(pixels: NDArray[Any], weights: NDArray[Any]) -> tuple[int, ...]:
    return pixels.shape[:2] if len(weights) == 1 else (*pixels.shape[:2], len(weights))
