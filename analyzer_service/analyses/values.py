"""The values of a map as they are: mean, spread and contrast of the raw gate."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats

ZERO_MEAN: Final = 1e-12  # of the largest magnitude: a mean below is rounding


def unit_scale(maps: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Maps scaled by a power of two into [-1, 1], and the exponent of each; exact.

    Squares and sums of the scaled maps cannot overflow or vanish, whatever the magnitude was.

    Parameters
    ----------
    maps : ndarray of shape (N, H, W), finite, H * W >= 1

    Returns
    -------
    scaled : ndarray of shape (N, H, W)
    exponent : ndarray of shape (N,), int32
        ``maps == scaled * 2**exponent``.
    """
    exponent = np.frexp(np.abs(maps).max(axis=(1, 2), initial=0.0))[1]
    return np.ldexp(maps, -exponent[:, None, None]), exponent


def value_metrics(maps: Floats) -> dict[str, Floats]:
    """Statistics of the raw values of each map.

    Parameters
    ----------
    maps : ndarray of shape (N, H, W), finite, H * W >= 1

    Returns
    -------
    dict of str to ndarray of shape (N,)
        ``attention_contrast`` (population standard deviation over the magnitude of the mean;
        NaN where the mean is 0 and the map is not constant), ``attention_mean``,
        ``attention_std``, ``attention_min`` and ``attention_max`` (in the map's own unit).
    """
    scaled, exponent = unit_scale(maps)
    low = scaled.min(axis=(1, 2))
    above = scaled - low[:, None, None]  # exact 0 for a constant map, so its std is 0
    mean_above = above.mean(axis=(1, 2))
    std = np.sqrt(np.square(above - mean_above[:, None, None]).mean(axis=(1, 2)))
    mean = low + mean_above
    return {
        "attention_contrast": _contrast(std, mean),
        "attention_mean": np.ldexp(mean, exponent),
        "attention_std": np.ldexp(std, exponent),
        "attention_min": maps.min(axis=(1, 2)),
        "attention_max": maps.max(axis=(1, 2)),
    }


def _contrast(std: Floats, mean: Floats) -> Floats:
    defined = np.abs(mean) > ZERO_MEAN
    contrast = np.full_like(std, np.nan)
    np.divide(std, np.abs(mean), out=contrast, where=defined)
    return np.where(std == 0.0, 0.0, contrast)
