"""Colors of a tile that need no stain: luminance and how far the channels are apart.

Images are (H, W, 3) in RGB or (H, W) in gray, uint8 or float in [0, 1]. What is computed of 8-bit
images goes through whole numbers, so it is exact up to one final rounding.
"""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import Floats, as_rgb
from analyzer_service.analyses.channels import finite_or_nan, mix, mix_prepared

UINT8_PEAK: Final = 255
LUMINANCE: Final = (2125, 7154, 721)  # in units of 1e-4, the primaries of ITU-R BT.709
LUMINANCE_UNIT: Final = 10_000

_CHANNEL_DIFFERENCES: Final = np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1]])
_SUM_OF_CHANNELS: Final = np.ones((1, 3))


def luminance(image: ArrayLike) -> Floats:
    """Gray value 0.2125 R + 0.7154 G + 0.0721 B of every pixel.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]

    Returns
    -------
    ndarray of shape (H, W), float64
        In [0, 1] for images in range; NaN where a channel is not finite.

    Raises
    ------
    ArrayError
        If it is no image.

    Notes
    -----
    The weights are those of `skimage.color.rgb2gray`.

    Examples
    --------
    >>> luminance(np.array([[[255, 255, 255], [0, 0, 0], [0, 255, 0]]], dtype=np.uint8))
    array([[1.    , 0.    , 0.7154]])
    """
    rgb = as_rgb(image)
    weights = np.array([LUMINANCE])
    if rgb.dtype != np.uint8:
        return mix_prepared(rgb, finite_or_nan, weights / LUMINANCE_UNIT)
    gray = mix_prepared(rgb, _exact_floats, weights)
    gray /= UINT8_PEAK * LUMINANCE_UNIT
    return gray


def color_variance(image: ArrayLike) -> float:
    """Mean over the pixels of the population variance over R, G and B; 0 for a gray image.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]

    Returns
    -------
    float
        In [0, 2/9] for images in range; NaN without a pixel or with one that is not finite.

    Raises
    ------
    ArrayError
        If it is no image.

    Notes
    -----
    ``np.var(image, axis=2).mean()`` on the scale [0, 1], computed as
    ``((R-G)^2 + (G-B)^2 + (B-R)^2) / 9``, which has no large squares to cancel.

    Examples
    --------
    >>> round(color_variance([[[1.0, 0.0, 0.0]]]), 6)
    0.222222
    """
    rgb = as_rgb(image)
    if rgb.size == 0 or not np.isfinite(rgb).all():
        return math.nan
    red, green, blue = (np.ascontiguousarray(rgb[..., channel]) for channel in range(3))
    pairs = ((red, green), (green, blue), (blue, red))
    if rgb.dtype == np.uint8:  # each norm is a whole number
        total = math.fsum(cv2.norm(a, b, cv2.NORM_L2SQR) for a, b in pairs)
        return total / (9 * UINT8_PEAK**2 * red.size)
    return math.fsum(float(np.square(a - b).sum()) for a, b in pairs) / (9 * red.size)


def color_variance_map(image: ArrayLike) -> Floats:
    """Population variance over R, G and B of every pixel; its mean is `color_variance`.

    Returns
    -------
    ndarray of shape (H, W), float64
        In [0, 2/9] for images in range; NaN where a channel is not finite.

    Raises
    ------
    ArrayError
        If it is no image.
    """
    rgb = as_rgb(image)
    exact = rgb.dtype == np.uint8
    as_floats = _exact_floats if exact else finite_or_nan

    def squared_differences(pixels: NDArray[Any]) -> NDArray[Any]:
        differences = mix(as_floats(pixels), _CHANNEL_DIFFERENCES)
        differences *= differences
        return differences

    variance = mix_prepared(rgb, squared_differences, _SUM_OF_CHANNELS)
    variance /= 9 * UINT8_PEAK**2 if exact else 9
    return variance


def _exact_floats(pixels: NDArray[Any]) -> NDArray[Any]:
    """8-bit pixels as float32, in which all that is made of them here is a whole number."""
    return pixels.astype(np.float32)
