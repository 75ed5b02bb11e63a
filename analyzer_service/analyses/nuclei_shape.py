"""Size, shape and spacing of labeled nuclei, by sums over their pixels."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats, as_labels
from analyzer_service.analyses.nuclei_runs import Ints, moments, runs_of, touching
from analyzer_service.analyses.nuclei_spacing import spacing

PIXELS_PER_UNIT: Final = 1e4  # of density, where the pixel size is not known
UM2_PER_MM2: Final = 1e6


@dataclass(frozen=True)
class NuclearTable:
    """One entry per nucleus in each array, by rising label; lengths in pixels.

    Attributes
    ----------
    label : ndarray of int
    area : ndarray of int
        Pixels.
    row, col : ndarrays of float
        Centroid; the center of the first pixel is at 0, as in `skimage.measure.regionprops`.
    major_axis, minor_axis : ndarrays of float
        Axes of the ellipse with the same second moments.
    eccentricity : ndarray of float
        Of that ellipse, from 0 (round) to 1.
    equivalent_diameter : ndarray of float
        Of the disk with the same area.
    touches_border : ndarray of bool
        Part of the nucleus may lie outside the tile.
    solidity : ndarray of float, or None if not asked for
        Area over that of the convex hull.
    """

    label: Ints
    area: Ints
    row: Floats
    col: Floats
    major_axis: Floats
    minor_axis: Floats
    eccentricity: Floats
    equivalent_diameter: Floats
    touches_border: NDArray[np.bool_]
    solidity: Floats | None


def nuclear_table(labels: ArrayLike, *, detail: bool = False) -> NuclearTable:
    """Measure every nucleus of a label image.

    Parameters
    ----------
    labels : array of shape (H, W), integer
        0 = background; numbers need not be consecutive, nor a nucleus' pixels connected.
    detail : bool
        Measure solidity too, which takes longer than all the rest.

    Raises
    ------
    ArrayError
        If it is no label image.

    Notes
    -----
    Definitions of `skimage.measure.regionprops`: pixels count as points, so that second moments
    lack the 1/12 of a pixel's own extent, and a nucleus of one pixel has axes of length 0.

    Examples
    --------
    >>> nuclear_table([[0, 0, 0, 0], [0, 3, 3, 3]]).area
    array([3])
    """
    image = as_labels(labels)
    runs = runs_of(image)
    found, part = _numbered(runs.label)
    area, (row, col), covariance = moments(runs, part, len(found))
    major, minor = _principal_variances(*covariance)
    round_or_one = major == 0
    return NuclearTable(
        label=found,
        area=area,
        row=row,
        col=col,
        major_axis=4 * np.sqrt(major),
        minor_axis=4 * np.sqrt(minor),
        eccentricity=np.sqrt(
            1 - np.where(round_or_one, 1, minor) / np.where(round_or_one, 1, major)
        ),
        equivalent_diameter=np.sqrt(4 * area / math.pi),
        touches_border=touching(runs, part, len(found), image.shape),
        solidity=_solidity(image, found) if detail else None,
    )


def features(
    labels: ArrayLike, *, mpp: float | None = None, detail: bool = False
) -> dict[str, float]:
    """Number, size, shape and spacing of the nuclei of a tile.

    Parameters
    ----------
    labels : array of shape (H, W), integer
        0 = background, as from `nuclei.segment`.
    mpp : float, optional
        Micrometers a pixel.
    detail : bool
        Add ``nuclear_solidity_mean``, which takes longer than all the rest.

    Returns
    -------
    dict of str to float
        ``nuclear_count``
            All nuclei, those at the border too.
        ``nuclear_area_fraction``
            Share of the tile that they cover.
        ``nuclear_density``
            Nuclei per square millimeter; per 10,000 pixels without `mpp`.
        ``nuclear_area_mean``, ``nuclear_area_cv``, ``nuclear_eccentricity_mean``
            Of the nuclei that do not touch the border: area in square pixels, whatever `mpp`;
            its standard deviation (of a population) over its mean; eccentricity in [0, 1].
        ``nuclear_nn_distance``, ``clark_evans``
            See `spacing`.
        ``nuclear_solidity_mean``
            Of the nuclei that do not touch the border, in (0, 1].

        Without a nucleus, counts and shares are 0 and the rest NaN; without a pixel, all but the
        count are NaN.

    Raises
    ------
    ArrayError
        If it is no label image, or `mpp` is not a positive number.
    """
    image = as_labels(labels)
    table = nuclear_table(image, detail=detail)
    pixels, count = image.size, len(table.label)
    per_pixel = count / pixels if pixels else math.nan
    whole = ~table.touches_border
    area = table.area[whole]
    values = {
        "nuclear_count": float(count),
        "nuclear_area_fraction": float(table.area.sum() / pixels) if pixels else math.nan,
        "nuclear_density": per_pixel * _pixels_per_unit(mpp),
        "nuclear_area_mean": _mean(area),
        "nuclear_area_cv": float(area.std() / area.mean()) if area.size else math.nan,
        "nuclear_eccentricity_mean": _mean(table.eccentricity[whole]),
        **spacing(np.stack([table.row, table.col], axis=1), pixels=pixels),
    }
    if table.solidity is not None:
        values["nuclear_solidity_mean"] = _mean(table.solidity[whole])
    return values


def _pixels_per_unit(mpp: float | None) -> float:
    if mpp is None:
        return PIXELS_PER_UNIT
    if not (math.isfinite(mpp) and mpp > 0):
        raise ArrayError(f"expected a pixel size in micrometers above 0, got {mpp}")
    return UM2_PER_MM2 / mpp / mpp  # the square of an absurd size may vanish


def _numbered(values: NDArray[Any]) -> tuple[Ints, Ints]:
    """The labels that occur, rising, and for each value its place among them."""
    if values.size and values.max() > 4 * values.size:  # a table of that length would not pay
        found, part = np.unique(values, return_inverse=True)
        return found.astype(np.intp), part.astype(np.intp)
    occurs = np.bincount(values.astype(np.intp)) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[values.astype(np.intp)]


def _principal_variances(down: Floats, across: Floats, both: Floats) -> tuple[Floats, Floats]:
    """Larger and smaller eigenvalue of covariances."""
    middle = (down + across) / 2
    spread = np.hypot((down - across) / 2, both)
    return middle + spread, np.maximum(middle - spread, 0)


def _solidity(image: NDArray[Any], found: Ints) -> Floats:
    if not found.size:
        return np.empty(0)
    from skimage.measure import regionprops  # half a second for every worker, for few calls

    consecutive = np.where(image == 0, 0, np.searchsorted(found, image.astype(np.intp)) + 1)
    regions = regionprops(consecutive)  # type: ignore[no-untyped-call]
    return np.array([region.solidity for region in regions], dtype=np.float64)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else math.nan
