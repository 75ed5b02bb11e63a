"""Stain vectors estimated from the colors of the tissue itself.

M. Macenko, M. Niethammer, J. S. Marron, D. Borland, J. T. Woosley, X. Guan, C. Schmitt,
N. E. Thomas, "A method for normalizing histology slides for quantitative analysis", ISBI 2009,
1107-1110. Where the paper leaves a choice, the one that public implementations share is taken: a
pixel counts if every channel absorbs at least `beta`, the plane is that of the two first principal
components of the covariance, percentiles are linear.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats
from analyzer_service.analyses.optical_density import (
    TISSUE_OD,
    optical_density,
    total_density,
)

BETA: Final = 0.15
ALPHA: Final = 1.0
LARGEST_OD: Final = 2.41  # of an 8-bit value above 0: a channel at its floor has no color
FEWEST_PIXELS: Final = 100  # below, a percentile of 1 is the outermost pixel itself
SMALLEST_ANGLE_DEG: Final = 5.0  # stains closer than this unmix into eleven times the noise
SAMPLED_PIXELS: Final = 2_000


def macenko(
    image: ArrayLike, *, beta: float = BETA, alpha: float = ALPHA, white: ArrayLike | None = None
) -> Floats:
    """Unit stain vectors of the two stains of an image, hematoxylin first.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    beta, alpha
        As for `macenko_from_od`.
    white : float or array of shape (3,), optional
        As for `optical_density`. Many implementations take ``-ln((I + 1) / 240)``; that is
        ``macenko((image + 1.0) / 255, white=240 / 255)``.

    Returns
    -------
    ndarray of shape (2, 3), float64
        As for `macenko_from_od`; NaN too if a pixel of the image is not finite.

    Raises
    ------
    ArrayError
        If it is no image, or `white` no color.
    """
    density = optical_density(image, white=white)
    return macenko_from_od(density.reshape(-1, 3), beta=beta, alpha=alpha)


def macenko_from_od(density: ArrayLike, *, beta: float = BETA, alpha: float = ALPHA) -> Floats:
    """Unit stain vectors of a pool of pixels, such as `tissue_pixels` takes from many tiles.

    In the plane that holds most of the variance of the densities, the stains are the outermost
    directions, less `alpha` percent of the pixels on each side.

    Parameters
    ----------
    density : array of shape (N, 3)
        Decadic optical densities.
    beta : float
        Least optical density of every channel, in natural units as the public implementations
        read the paper (the default is 0.065 decadic).
    alpha : float
        Percent of pixels beyond each of the two directions.

    Returns
    -------
    ndarray of shape (2, 3), float64
        Unit rows. The first absorbs more red: hematoxylin, as eosin and DAB both leave red alone;
        the second is eosin, or DAB in immunohistochemistry. (DAB scatters light besides absorbing
        it and fewer than `alpha` percent of brown pixels go unseen: both rows are then shades of
        hematoxylin.) All NaN where two stains cannot be told apart: fewer than 100 pixels of
        stain, one stain or gray (rows under 5 degrees apart), or a density that is not finite.
        Pixels with a black channel are left out.

    Raises
    ------
    ArrayError
        If the shape is another one.
    """
    pixels = np.asarray(density, dtype=np.float64)
    if pixels.ndim != 2 or pixels.shape[1] != 3:
        raise ArrayError(f"expected optical densities (N, 3), got shape {pixels.shape}")
    undefined = np.full((2, 3), np.nan)
    if not np.isfinite(pixels).all():
        return undefined
    stained = (pixels.min(axis=1) >= beta / math.log(10)) & (pixels.max(axis=1) <= LARGEST_OD)
    pixels = pixels[stained]
    if len(pixels) < FEWEST_PIXELS:
        return undefined
    rows = _outermost(pixels, alpha)
    return rows if _angle_deg(rows) >= SMALLEST_ANGLE_DEG else undefined


def tissue_pixels(
    image: ArrayLike, *, limit: int = SAMPLED_PIXELS, white: ArrayLike | None = None
) -> Floats:
    """Optical densities of at most `limit` tissue pixels, spread evenly in raster order.

    What a run pools over its first tiles for `macenko_from_od`. The same image gives the same
    pixels. Pixels that are not finite are no tissue.

    Returns
    -------
    ndarray of shape (N, 3), float64
        Decadic; N is 0 for an empty tile.

    Raises
    ------
    ArrayError
        If it is no image, or `white` no color.
    """
    density = optical_density(image, white=white)
    (found,) = np.nonzero(total_density(density).ravel() > TISSUE_OD)
    if len(found) > limit:
        found = found[np.arange(limit) * len(found) // limit]
    pixels: Floats = density.reshape(-1, 3)[found]
    return pixels


def _outermost(pixels: Floats, alpha: float) -> Floats:
    """Directions at the percentiles of the angle in the principal plane; more red first.

    Angles are counted from the mean color, so they never wrap around.
    """
    plane = np.linalg.eigh(np.cov(pixels.T))[1][:, :0:-1]
    along = plane.T @ pixels.mean(axis=0)
    length = float(np.linalg.norm(along))
    if length == 0.0:
        return np.full((2, 3), np.nan)
    cosine, sine = along / length
    basis = plane @ np.array([[cosine, -sine], [sine, cosine]])
    projected = pixels @ basis
    angles = np.percentile(np.arctan2(projected[:, 1], projected[:, 0]), [alpha, 100 - alpha])
    rows: Floats = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ basis.T
    return rows[np.argsort(-rows[:, 0], kind="stable")]


def _angle_deg(rows: NDArray[np.float64]) -> float:
    sine, cosine = np.linalg.norm(np.cross(rows[0], rows[1])), rows[0] @ rows[1]
    return math.degrees(math.atan2(float(sine), float(cosine)))
