"""Nuclei of a stained tile, found approximately and without learned weights.

What stands out in the nuclear channel against its surroundings, of nuclear size and cut where
touching nuclei have a neck. It sees dark, not nuclei: keratin, ink, folds and thick purple tissue
beside glass come out as nuclei too, pale or blurred nuclei not at all. Fit for densities and
averages of many tiles, not for a verdict on one cell.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats, as_labels, as_rgb
from analyzer_service.analyses.nuclei_channel import (
    MIN_CONTRAST,
    Staining,
    nuclear_channel,
    staining,
)
from analyzer_service.analyses.nuclei_mask import (
    Mask,
    depth,
    opened,
    typical_radius,
    without_holes,
)
from analyzer_service.analyses.nuclei_shape import (
    NuclearTable,
    features,
    nuclear_table,
)
from analyzer_service.analyses.nuclei_spacing import spacing
from analyzer_service.analyses.nuclei_split import Ints, Parts, split

__all__ = ["NuclearTable", "density_map", "features", "nuclear_table", "segment", "spacing"]

Labels = NDArray[np.int32]

ASSUMED_MPP: Final = 0.5
MPP_RANGE: Final = (0.1, 2.0)  # beyond it nuclei are larger than tiles or smaller than pixels
CANDIDATE: Final = 0.35  # relative staining of a pixel that may belong to a nucleus
NUCLEAR: Final = 0.5  # mean relative staining of a nucleus
OUTLINE: Final = 0.5  # of a nucleus' own mean staining, where it ends
MIN_AREA_UM2: Final = 5.0
MIN_AREA_SHARE: Final = 0.15  # of the typical nucleus in the tile
THIN_UM: Final = 0.5  # radius; fibers and seams are thinner
DENSITY_SIGMA_PX: Final = 8.0


def segment(image: ArrayLike, *, mpp: float | None = None) -> Labels:
    """Label the nuclei of a tile stained with hematoxylin, with eosin or DAB or alone.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
        The background may be tinted: only differences in optical density count.
    mpp : float, optional
        Micrometers a pixel; 0.5 (20x) is assumed unless given. Values beyond 0.1 and 2 are taken
        as those: nuclei would be larger than tiles or smaller than pixels. How large the tile's
        nuclei are is measured besides, for the splitting.

    Returns
    -------
    ndarray of shape (H, W), int32
        0 = background, nuclei from 1 up by their first pixel in raster order. No nuclei where
        nothing stands out by 0.03 optical density, and none in an image with a value that is not
        finite: that such an image has no measurable nuclei, rather than none, is for the caller
        to see.

    Raises
    ------
    ArrayError
        If it is no image, or `mpp` is not a positive number.

    Notes
    -----
    Defined here; the stages are those of QuPath's cell detection: background level nearby,
    threshold, split by shape, limits of size. Each pixel's staining is put on a scale from its
    surroundings (0) to the nuclei nearby (1). Candidates are above 0.35; parts whose mean is
    above 0.5 are nuclei and end at half their own mean, so that pale and dark ones have their
    outlines in the same place.

    Examples
    --------
    >>> tile = np.full((32, 32, 3), 235, np.uint8)
    >>> tile[8:20, 8:20] = (90, 60, 150)
    >>> int(segment(tile).max()), int(segment(tile[:8]).max())
    (1, 0)
    """
    pixel_um = _pixel_um(mpp)
    rgb = _as_bytes(image)
    nothing = np.zeros(rgb.shape[:2], dtype=np.int32)
    if rgb.size == 0:
        return nothing
    stained = staining(nuclear_channel(rgb, pixel_um=pixel_um), pixel_um=pixel_um)
    if stained is None:
        return nothing
    mask, radius = _candidates(stained, pixel_um)
    if not mask.any():
        return nothing
    parts = split(mask, stained.relative, radius=radius)
    min_area = max(MIN_AREA_UM2 / pixel_um**2, MIN_AREA_SHARE * math.pi * parts.radius**2)
    return _numbered(parts, _outlined(parts, stained, pixel_um), min_area, nothing)


def density_map(labels: ArrayLike) -> Floats:
    """Share of nuclear area around each pixel: the mask, blurred.

    Parameters
    ----------
    labels : array of shape (H, W), integer
        0 = background.

    Returns
    -------
    ndarray of shape (H, W), float64
        In [0, 1]. Gaussian of sigma 8 pixels, cut off at 4 sigma, the mask mirrored at the border
        with the edge pixels repeated (`scipy.ndimage.gaussian_filter` with ``mode="reflect"``),
        so that the mean over the tile is the area fraction.

    Raises
    ------
    ArrayError
        If it is no label image.
    """
    image = as_labels(labels)
    if image.size == 0:
        return np.empty(image.shape)
    side = 2 * round(4 * DENSITY_SIGMA_PX) + 1
    kernel = cv2.getGaussianKernel(side, DENSITY_SIGMA_PX, cv2.CV_32F)
    mask = (image > 0).view(np.uint8)  # as bytes it takes a third less time than as floats
    blurred = cv2.sepFilter2D(mask, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return np.clip(blurred.astype(np.float64), 0.0, 1.0)


def _pixel_um(mpp: float | None) -> float:
    if mpp is None:
        return ASSUMED_MPP
    if not (math.isfinite(mpp) and mpp > 0):
        raise ArrayError(f"expected a pixel size in micrometers above 0, got {mpp}")
    return min(max(mpp, MPP_RANGE[0]), MPP_RANGE[1])


def _as_bytes(image: ArrayLike) -> NDArray[np.uint8]:
    """Return an image as RGB; white, without nuclei, if a value is not finite."""
    rgb = as_rgb(image)
    if rgb.dtype == np.uint8:
        return np.asarray(rgb, dtype=np.uint8)
    if not np.isfinite(rgb).all():
        return np.full(rgb.shape, 255, np.uint8)
    return np.asarray(np.rint(np.clip(rgb, 0.0, 1.0) * 255), dtype=np.uint8)


def _candidates(stained: Staining, pixel_um: float) -> tuple[Mask, float]:
    """Mask of what may be nuclear, and the radius in pixels of what is in it."""
    mask = opened((stained.relative > CANDIDATE).view(np.uint8), THIN_UM / pixel_um)
    radius = typical_radius(depth(mask))
    return without_holes(mask, radius), radius


def _outlined(parts: Parts, stained: Staining, pixel_um: float) -> Ints:
    """Say which places belong to a nucleus: a part stained enough, to half of it."""
    relative = stained.relative.take(parts.places)
    contrast = stained.contrast.take(parts.places)
    part, count = parts.part, parts.count
    areas = np.maximum(np.bincount(part, minlength=count), 1)
    means = np.bincount(part, relative, minlength=count) / areas
    contrasts = np.bincount(part, relative * contrast, minlength=count) / areas
    nuclear = (means >= NUCLEAR) & (contrasts >= MIN_CONTRAST)
    limits = np.where(nuclear, OUTLINE * means, np.inf).astype(np.float32)
    inside = np.zeros(stained.relative.shape, dtype=bool)
    inside.ravel()[parts.places] = relative > limits.take(part)
    whole = opened(without_holes(inside.view(np.uint8), parts.radius), THIN_UM / pixel_um)
    return np.flatnonzero(whole.view(bool).take(parts.places) & nuclear.take(part))


def _numbered(parts: Parts, kept: Ints, min_area: float, labels: Labels) -> Labels:
    """Number the nuclei by their first pixel in raster order."""
    if not kept.size:
        return labels
    part, places = parts.part.take(kept), parts.places.take(kept)
    edges = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1], [True]]))
    start, length = edges[:-1], edges[1:] - edges[:-1]  # of stretches of one part
    owner = part.take(start)
    large = np.bincount(owner, length, minlength=parts.count) >= min_area
    first = np.empty(parts.count, dtype=np.intp)
    first[owner[::-1]] = start[::-1]  # the last assignment stays
    nuclei = np.flatnonzero(large)
    numbers = np.zeros(parts.count, dtype=np.int32)
    numbers[nuclei[np.argsort(first[nuclei])]] = np.arange(1, len(nuclei) + 1)
    labels.ravel()[places] = numbers.take(part)
    return labels
