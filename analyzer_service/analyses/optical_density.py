"""Optical density: how much light a pixel absorbs, per channel and in all.

Beer and Lambert: each stain adds its density times its amount, so densities can be unmixed where
intensities cannot. Decadic, the unit of QuPath.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats, as_rgb
from analyzer_service.analyses.channels import finite_or_nan, mix, mix_prepared

FLOOR: Final = 1e-6  # intensity of a black pixel, for it to have a logarithm
TISSUE_OD: Final = 0.15  # sum of the three channels above which a pixel is tissue

White: TypeAlias = tuple[float, float, float]
NO_TINT: Final[White] = (1.0, 1.0, 1.0)

SUM_OF_CHANNELS: Final = np.ones((1, 3))


def optical_density(image: ArrayLike, *, white: ArrayLike | None = None) -> Floats:
    """Decadic optical density ``-log10(max(I, 1e-6) / I0)`` of every channel.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    white : float or array of shape (3,), in (0, 1], optional
        I0, what empty glass shows in each channel, 1 unless given (see `white_point`). NaN says
        that it is not known: neither is the density then.

    Returns
    -------
    ndarray of shape (H, W, 3), float64
        0 for white, 6 for black (less with a `white` below 1), negative for a pixel lighter than
        `white`; NaN for a value that is not finite.

    Raises
    ------
    ArrayError
        If it is no image, or `white` is no such color.

    Examples
    --------
    >>> optical_density(np.array([[1.0, 0.1, 0.0]]))[..., 0]
    array([[0., 1., 6.]])
    """
    rgb = as_rgb(image)
    if rgb.size == 0:
        return np.empty(rgb.shape)
    return absorption(rgb, white)(rgb)


def mixed_density(
    image: ArrayLike, weights: NDArray[np.float64], *, white: ArrayLike | None = None
) -> Floats:
    """Weighted sums of the channels of `optical_density`, which is not kept.

    Parameters
    ----------
    weights : ndarray of shape (K, 3), K from 1 to 4

    Returns
    -------
    ndarray of shape (H, W, K), or (H, W) if K is 1
    """
    rgb = as_rgb(image)
    return mix_prepared(rgb, absorption(rgb, white), weights)


def total_density(density: Floats) -> Floats:
    """Sum of the optical densities of the three channels: how much stain, of whatever color.

    Parameters
    ----------
    density : ndarray of shape (H, W, 3), float64, contiguous
        As from `optical_density`.

    Returns
    -------
    ndarray of shape (H, W), float64
        NaN where a channel is.
    """
    return mix(density, SUM_OF_CHANNELS)


def tissue_mask(image: ArrayLike, *, white: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Pixels that absorb: a sum of the channels' optical densities over 0.15.

    Takes what `optical_density` takes and raises what it raises. A pixel that is not finite is
    no tissue.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    mask: NDArray[np.bool_] = mixed_density(image, SUM_OF_CHANNELS, white=white) > TISSUE_OD
    return mask


def as_white(white: ArrayLike | None) -> White:
    """Return a white point as three floats in (0, 1] or NaN; white itself for None.

    Raises
    ------
    ArrayError
        If it is not one number or three, or one is out of range.
    """
    if white is None:
        return NO_TINT
    try:
        values = np.broadcast_to(np.asarray(white, dtype=np.float64), (3,))
    except (TypeError, ValueError) as error:
        raise ArrayError(f"expected a white point of 1 or 3 numbers in (0, 1]: {error}") from error
    if bool(((values <= 0) | (values > 1)).any()):
        raise ArrayError(f"expected a white point in (0, 1], got {values.tolist()}")
    red, green, blue = values.tolist()
    return (red, green, blue)


def absorption(
    rgb: NDArray[Any], white: ArrayLike | None
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what turns pixels of an image (see `as_rgb`) into optical densities."""
    reference = as_white(white)
    if rgb.dtype == np.uint8:
        table = _table(reference)
        return lambda pixels: cv2.LUT(pixels, table)
    return lambda pixels: _absorbed(finite_or_nan(pixels), reference)


@lru_cache(maxsize=64)
def _table(white: White) -> NDArray[Any]:
    """Densities of the 256 values: one column where the channels agree, else three."""
    values = np.repeat(np.arange(256)[:, None] / 255.0, 3, axis=1)
    table = np.ascontiguousarray(_absorbed(values, white)[None])
    if white[0] == white[1] == white[2]:
        table = np.ascontiguousarray(table[..., 0])
    table.flags.writeable = False
    return table


def _absorbed(values: NDArray[Any], white: White) -> Floats:
    density: Floats = np.log10(np.maximum(values, FLOOR) / np.array(white))
    np.subtract(0.0, density, out=density)  # not its negative: white is 0.0, not -0.0
    return density
