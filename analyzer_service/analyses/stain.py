"""How much of each stain a tile holds; the public face of the stain analyses.

Work that steps share is done once by passing it on: `stain_maps` has what `intensities_from` and
`architecture.architecture_from` need; `optical_density` feeds `unmix` and `total_density`.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.channels import mix
from analyzer_service.analyses.macenko import macenko, macenko_from_od, tissue_pixels
from analyzer_service.analyses.optical_density import (
    SUM_OF_CHANNELS,
    TISSUE_OD,
    mixed_density,
    optical_density,
    tissue_mask,
    total_density,
)
from analyzer_service.analyses.stain_vectors import (
    HEMATOXYLIN_DAB,
    HEMATOXYLIN_EOSIN,
    STAIN_VECTORS,
    StainVectors,
    as_stain_vectors,
    unmixing_matrix,
)
from analyzer_service.analyses.white_point import white_point

__all__ = [
    "HEMATOXYLIN_DAB",
    "HEMATOXYLIN_EOSIN",
    "STAIN_VECTORS",
    "StainVectors",
    "hed",
    "intensities_from",
    "macenko",
    "macenko_from_od",
    "optical_density",
    "stain_densities",
    "stain_intensities",
    "stain_maps",
    "tissue_mask",
    "tissue_pixels",
    "total_density",
    "unmix",
    "white_point",
]

HED: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
HED_UNIT: Final = 6.0  # optical density of black: scikit-image's logarithm has base 1e-6


def stain_densities(
    image: ArrayLike,
    vectors: str | StainVectors | ArrayLike = "ruifrok",
    *,
    white: ArrayLike | None = None,
) -> Floats:
    """Optical density of each stain: the density of the pixels unmixed by the stain vectors.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    vectors : str, StainVectors or array of shape (2, 3) or (3, 3)
        A name in `STAIN_VECTORS` or the rows themselves.
    white : float or array of shape (3,), in (0, 1], optional
        What empty glass shows, 1 unless given (see `white_point`).

    Returns
    -------
    ndarray of shape (H, W, 3), float64
        Decadic, in the order of the rows: hematoxylin, then eosin or DAB, then the residual. Not
        clipped: a color outside those of the two stains has a negative amount of one. NaN where
        the pixel is not finite, everywhere if the vectors do not span the colors.

    Raises
    ------
    ArrayError
        If it is no image, or `white` or `vectors` are not what they should be.
    AnalysisError
        If there are no vectors of that name.

    Notes
    -----
    A. C. Ruifrok, D. A. Johnston, "Quantification of histochemical staining by color
    deconvolution", Anal. Quant. Cytol. Histol. 23 (2001) 291-299. Equal to HistomicsTK's
    `color_deconvolution`; scikit-image's `rgb2hed` is another number, see `hed`.

    Examples
    --------
    >>> pixel = np.array([[[100, 60, 140]]], dtype=np.uint8)
    >>> stain_densities(pixel)[0, 0, :2].round(4)
    array([0.6339, 0.1903])
    """
    matrix = unmixing_matrix(as_stain_vectors(vectors))
    return mixed_density(image, matrix.T, white=white)


def stain_maps(
    image: ArrayLike,
    vectors: str | StainVectors | ArrayLike = "ruifrok",
    *,
    white: ArrayLike | None = None,
) -> Floats:
    """Both stains and the total optical density of every pixel, in one pass.

    Takes what `stain_densities` takes and raises what it raises.

    Returns
    -------
    ndarray of shape (H, W, 3), float64
        The first two of `stain_densities`, then `total_density`.
    """
    matrix = unmixing_matrix(as_stain_vectors(vectors))
    weights = np.concatenate([matrix.T[:2], SUM_OF_CHANNELS])
    return mixed_density(image, weights, white=white)


def unmix(density: Floats, vectors: str | StainVectors | ArrayLike = "ruifrok") -> Floats:
    """Stain densities of an optical density (H, W, 3) that is there already.

    Takes the `vectors` of `stain_densities` and raises what it raises of them.

    Returns
    -------
    ndarray of shape (H, W, 3), float64
    """
    matrix = unmixing_matrix(as_stain_vectors(vectors))
    return mix(density, matrix.T)


def stain_intensities(
    image: ArrayLike,
    vectors: str | StainVectors | ArrayLike = "ruifrok",
    *,
    white: ArrayLike | None = None,
) -> dict[str, float]:
    """Mean density of each of the two stains over the tissue, and the share of tissue.

    Takes what `stain_densities` takes and raises what it raises.

    Returns
    -------
    dict of str to float
        ``hematoxylin_intensity``, ``eosin_intensity`` or ``dab_intensity`` (as the vectors name
        their stains; decadic optical density, from 0) and ``tissue_fraction`` (in [0, 1]). The
        intensities of a tile without tissue are NaN; so is everything with a pixel that is not
        finite, and without a pixel.
    """
    known = as_stain_vectors(vectors)
    maps = stain_maps(image, known, white=white)
    return intensities_from(maps[..., :2], maps[..., 2], known.stains)


def intensities_from(
    stains: Floats, absorbed: Floats, names: tuple[str, str] = HEMATOXYLIN_EOSIN
) -> dict[str, float]:
    """`stain_intensities` of what is there already.

    Parameters
    ----------
    stains : ndarray of shape (H, W, 2) or (H, W, 3), float64
        The densities of the two stains, as from `stain_densities` or `stain_maps`.
    absorbed : ndarray of shape (H, W), float64
        As from `total_density`.
    names : (str, str)
        Names of the two stains.
    """
    keys = [f"{name}_intensity" for name in names]
    undefined = dict.fromkeys([*keys, "tissue_fraction"], math.nan)
    if absorbed.size == 0 or np.isnan(absorbed).any():
        return undefined
    tissue = absorbed > TISSUE_OD
    pixels = np.count_nonzero(tissue)
    fraction = float(pixels / tissue.size)
    if not pixels:
        return undefined | {"tissue_fraction": fraction}
    inside = tissue.astype(np.float64)
    amounts = (np.maximum(stains[..., i], 0.0) for i in range(2))
    means = (float(np.einsum("hw,hw->", amount, inside)) / float(pixels) for amount in amounts)
    return dict(zip(keys, means, strict=True)) | {"tissue_fraction": fraction}


def hed(image: ArrayLike) -> Floats:
    """Hematoxylin, eosin and DAB exactly as `skimage.color.rgb2hed` has them.

    For comparisons. Vectors are not normalized, the third stain is DAB even in H&E, negative
    amounts are cut off, and the unit is a sixth of a decadic optical density.

    Returns
    -------
    ndarray of shape (H, W, 3), float64
        From 0; NaN where the pixel is not finite.

    Raises
    ------
    ArrayError
        If it is no image.
    """
    density = optical_density(image) / HED_UNIT
    amounts: Floats = np.maximum(mix(density, np.linalg.inv(np.array(HED)).T), 0.0)
    return amounts
