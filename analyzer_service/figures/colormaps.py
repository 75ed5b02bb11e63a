"""Colors of errors and attention, on fixed scales so that two dashboards can be compared."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

RGB = NDArray[np.uint8]

ERROR_LIMIT = 0.25
"""Absolute error, as a share of the full intensity range, that is drawn in the last red."""

ATTENTION_LIMIT = 4.0
"""Attention density, in multiples of the uniform share, that is drawn in the last red."""

_LEVELS = 256
_TINT = 0.62

ERROR_COLORS = LinearSegmentedColormap.from_list(
    "error", ["#12703f", "#66b15c", "#f4e58a", "#e8813d", "#a8131f"], N=_LEVELS
)
ATTENTION_COLORS = LinearSegmentedColormap.from_list(
    "attention", ["#1d3f94", "#3f8fc4", "#f7e36b", "#ee7a32", "#b3121d"], N=_LEVELS
)


def color_table(colors: LinearSegmentedColormap) -> RGB:
    """The 256 colors of `colors` from low to high, uint8 of shape (256, 3)."""
    table: RGB = np.rint(colors(np.arange(_LEVELS))[:, :3] * 255).astype(np.uint8)
    return table


_ERROR_TABLE = color_table(ERROR_COLORS)
_TINTS = np.float32(_TINT) * color_table(ATTENTION_COLORS)


def error_image(error: NDArray[np.floating]) -> RGB:
    """Color an error map: green at 0, red from `ERROR_LIMIT` on.

    Parameters
    ----------
    error : ndarray of shape (H, W), float
        Absolute error in [0, 1].

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    return _ERROR_TABLE.take(_level(error, ERROR_LIMIT), axis=0)


def attention_image(density: NDArray[np.floating], gray: NDArray[np.floating]) -> RGB:
    """Tint a gray image: blue where `density` is 0, yellow at 2, red from `ATTENTION_LIMIT` on.

    Parameters
    ----------
    density : ndarray of shape (H, W), float
        Attention in multiples of the uniform share, >= 0.
    gray : ndarray of shape (H, W), float
        The image's luminance in [0, 1].

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    mixed = _TINTS.take(_level(density, ATTENTION_LIMIT), axis=0)
    mixed += ((1.0 - _TINT) * 255.0 * gray).astype(np.float32)[..., None]
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def dimmed_image(gray: NDArray[np.floating]) -> RGB:
    """The gray image without any tint, pale so that it reads as context, uint8 (H, W, 3)."""
    pale = np.rint((0.35 + 0.6 * gray) * 255).astype(np.uint8)
    return np.repeat(pale[..., None], 3, axis=2)


def luminance(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance of an RGB image in [0, 1], float64 (H, W); weights of ITU-R BT.709."""
    weights = np.array([0.2125, 0.7154, 0.0721]) / 255.0
    return np.asarray(image @ weights, dtype=np.float64)


def _level(values: NDArray[np.floating], limit: float) -> NDArray[np.uint8]:
    share = np.clip(values / limit, 0.0, 1.0)
    levels: NDArray[np.uint8] = np.rint(share * (_LEVELS - 1)).astype(np.uint8)
    return levels
