"""How the tissue is built, as far as pixels tell: empty space and edges."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.color import luminance
from analyzer_service.analyses.optical_density import (
    SUM_OF_CHANNELS,
    TISSUE_OD,
    mixed_density,
)

EDGE_GRADIENT: Final = 0.1  # of gray, a pixel
LUMEN_RADIUS_PX: Final = 2

NAMES: Final = ("white_fraction", "edge_density_experimental")


def architecture_features(image: ArrayLike, *, white: ArrayLike | None = None) -> dict[str, float]:
    """Share of empty space and density of edges of a tile.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    white : float or array of shape (3,), in (0, 1], optional
        What empty glass shows, 1 unless given.

    Returns
    -------
    dict of str to float
        ``white_fraction`` and ``edge_density_experimental``, both in [0, 1]; NaN without a pixel
        or with one that is not finite.

    Raises
    ------
    ArrayError
        If it is no image, or `white` no color.

    Notes
    -----
    Defined here. *White* is where a disk of radius 2 pixels fits into the pixels that are no
    tissue (optical densities that sum to at most 0.15): lumina, vessels, fat and background, but
    not the pale specks and cracks that ``1 - tissue_fraction`` counts too. Disks may stick out
    of the tile. An *edge* is a pixel where the gradient of the luminance (Sobel, as
    `skimage.filters.sobel`) is over 0.1. It depends on focus, magnification and
    compression as much as on tissue: compare it between tiles of one slide only.
    """
    absorbed = mixed_density(image, SUM_OF_CHANNELS, white=white)
    return architecture_from(absorbed, luminance(image))


def architecture_from(absorbed: Floats, gray: Floats) -> dict[str, float]:
    """`architecture_features` of a `total_density` (H, W) and a `luminance` that are there."""
    if absorbed.size == 0 or np.isnan(absorbed).any():
        return dict.fromkeys(NAMES, math.nan)
    shares = (white_mask(absorbed), edge_mask(gray))
    return {
        name: np.count_nonzero(mask) / mask.size for name, mask in zip(NAMES, shares, strict=True)
    }


def white_mask(absorbed: Floats) -> NDArray[np.bool_]:
    """Pixels of empty space of a finite `total_density` (H, W)."""
    empty = (absorbed <= TISSUE_OD).view(np.uint8)
    return np.asarray(cv2.morphologyEx(empty, cv2.MORPH_OPEN, _DISK), dtype=np.bool_)


def edge_mask(gray: Floats) -> NDArray[np.bool_]:
    """Pixels of a finite luminance (H, W) where it changes by more than 0.1 a pixel."""
    across, down = _gradient(gray, 1, 0), _gradient(gray, 0, 1)
    across *= across
    down *= down
    across += down  # twice the squared magnitude
    return np.asarray(across > 2 * EDGE_GRADIENT**2, dtype=np.bool_)


def _gradient(gray: Floats, columns: int, rows: int) -> Floats:
    slope = cv2.Sobel(gray, cv2.CV_64F, columns, rows, scale=0.25, borderType=cv2.BORDER_REFLECT)
    return np.asarray(slope, dtype=np.float64)


def _disk(radius: int) -> NDArray[np.uint8]:
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(row**2 + column**2 <= radius**2, dtype=np.uint8)


_DISK: Final = _disk(LUMEN_RADIUS_PX)
