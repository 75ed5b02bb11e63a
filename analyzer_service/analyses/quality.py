"""How close a reconstruction is to its original: squared error, PSNR and windowed SSIM.

Images are arrays (H, W) or (H, W, C), uint8 or float in [0, 1], compared on the scale [0, 1].
Undefined is NaN: images without a pixel, with a value that is not finite or, for SSIM, with a
side shorter than its window.
"""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, as_image
from analyzer_service.analyses.similarity import WINDOW, plane_ssim

UINT8_PEAK: Final = 255.0
SPLIT_CHANNELS: Final = 4
"""OpenCV splits as many fast; of more than 128 it makes one array of three axes."""

Image = NDArray[Any]


def mse(x: ArrayLike, y: ArrayLike) -> float:
    """Mean squared error over all pixels and channels.

    Parameters
    ----------
    x, y : arrays of one shape (H, W) or (H, W, C), each uint8 or float in [0, 1]

    Returns
    -------
    float
        In [0, 1] for images in range, 0 for equal ones; NaN if undefined.

    Raises
    ------
    ArrayError
        If one is no image, or their shapes differ.
    """
    one, other, peak = _on_one_scale(x, y)
    if not _is_measurable(one, other):
        return math.nan
    if one.dtype == np.uint8:
        total = cv2.norm(one.reshape(1, -1), other.reshape(1, -1), cv2.NORM_L2SQR)  # exact
    else:
        difference = (one - other).ravel()
        total = float(difference @ difference)
    return total / (peak**2 * one.size)


def psnr(x: ArrayLike, y: ArrayLike) -> float:
    """Peak signal to noise ratio in dB for a peak of 1; infinite for equal images.

    Takes what `mse` takes, is NaN where it is and raises what it raises.

    Examples
    --------
    >>> round(psnr(np.zeros((4, 4)), np.full((4, 4), 0.1)), 6)
    20.0
    """
    error = mse(x, y)
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def ssim(x: ArrayLike, y: ArrayLike) -> float:
    """Structural similarity: local brightness, contrast and structure compared in windows.

    Parameters
    ----------
    x, y : arrays of one shape (H, W) or (H, W, C), each uint8 or float in [0, 1]

    Returns
    -------
    float
        In [-1, 1], 1 for equal images; NaN if undefined or a side is under 11 pixels.

    Raises
    ------
    ArrayError
        If one is no image, or their shapes differ.

    Notes
    -----
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE TIP 13 (2004) 600-612: Gaussian window of 11 x 11
    and sigma 1.5, K1 0.01, K2 0.03, data range 1, population covariance, each channel by
    itself, the mean over the pixels whose window lies inside the image.
    """
    one, other, peak = _on_one_scale(x, y)
    if not _is_measurable(one, other) or min(one.shape[:2]) < WINDOW:
        return math.nan
    pairs = list(zip(_planes(one), _planes(other), strict=True))
    return math.fsum(plane_ssim(a, b, peak=peak) for a, b in pairs) / len(pairs)


def _on_one_scale(x: ArrayLike, y: ArrayLike) -> tuple[Image, Image, float]:
    """Both images with the value that stands for 1: uint8 if both are, else float64."""
    one, other = as_image(x), as_image(y)
    if one.shape != other.shape:
        raise ArrayError(f"images to compare must have one shape, got {one.shape}, {other.shape}")
    if one.dtype == other.dtype == np.uint8:
        return np.ascontiguousarray(one), np.ascontiguousarray(other), UINT8_PEAK
    return _as_unit(one), _as_unit(other), 1.0


def _as_unit(image: Image) -> Image:
    scale = UINT8_PEAK if image.dtype == np.uint8 else 1.0
    return image.astype(np.float64) / scale


def _is_measurable(one: Image, other: Image) -> bool:
    if one.size == 0 or one.dtype == np.uint8:
        return one.size > 0
    return bool(np.isfinite(one).all() and np.isfinite(other).all())


def _planes(image: Image) -> list[Image]:
    if image.ndim == 2:
        return [image]
    if image.shape[2] > SPLIT_CHANNELS:
        return list(np.moveaxis(image, 2, 0))
    return list(cv2.split(image))
