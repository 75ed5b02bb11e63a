"""How close a reconstruction is to its original: squared error, PSNR and windowed SSIM."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_unit_image

WINDOW: Final = 11
SIGMA: Final = 1.5
LUMINANCE_FLOOR: Final = 0.01**2
CONTRAST_FLOOR: Final = 0.03**2


def mse(x: ArrayLike, y: ArrayLike) -> float:
    """Mean squared error over all pixels and channels, images on the scale [0, 1].

    Parameters
    ----------
    x, y : arrays of shape (H, W) or (H, W, C), each uint8 or float in [0, 1]

    Returns
    -------
    float
        In [0, 1] for images in range, 0 for equal ones; NaN for images without a pixel.

    Raises
    ------
    ArrayError
        If one is no image, or their shapes differ.
    """
    one, other = _images(x, y)
    if one.size == 0:
        return math.nan
    difference = (one - other).ravel()
    return float(difference @ difference) / difference.size


def psnr(x: ArrayLike, y: ArrayLike) -> float:
    """Peak signal to noise ratio in dB, peak 1; infinite for equal images.

    Takes, returns NaN for and raises what `mse` does.

    Examples
    --------
    >>> psnr(np.zeros((4, 4)), np.full((4, 4), 0.1))
    20.0
    """
    error = mse(x, y)
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def ssim(x: ArrayLike, y: ArrayLike) -> float:
    """Structural similarity, windowed: local means, contrasts and structure compared.

    Parameters
    ----------
    x, y : arrays of shape (H, W) or (H, W, C), each uint8 or float in [0, 1]

    Returns
    -------
    float
        In [-1, 1], 1 for equal images; NaN if a side is shorter than the window of 11 pixels.

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
    one, other = _images(x, y)
    if min(one.shape[:2]) < WINDOW or one.size == 0:
        return math.nan
    return float(_ssim_map(one, other).mean())


def _images(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    one, other = as_unit_image(x), as_unit_image(y)
    if one.shape != other.shape:
        raise ArrayError(f"images to compare must have one shape, got {one.shape}, {other.shape}")
    return one, other


def _ssim_map(x: Floats, y: Floats) -> Floats:
    """SSIM at each pixel whose window lies inside; float64, as flat regions cancel in float32."""
    mean_x, mean_y, power = _local_mean(x), _local_mean(y), _local_mean(x * x + y * y)
    cross = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    covariance = _local_mean(x * y) - cross
    luminance = (2 * cross + LUMINANCE_FLOOR) / (squares + LUMINANCE_FLOOR)
    structure = (2 * covariance + CONTRAST_FLOOR) / (power - squares + CONTRAST_FLOOR)
    result: Floats = luminance * structure
    return result


def _local_mean(image: Floats) -> Floats:
    edge = WINDOW // 2
    blurred: Floats = cv2.sepFilter2D(image, -1, _WEIGHTS, _WEIGHTS)
    return blurred[edge:-edge, edge:-edge]


def _gaussian() -> Floats:
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    normalized: Floats = weights / weights.sum()
    return normalized


_WEIGHTS: Final = _gaussian()
