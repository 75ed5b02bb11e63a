"""How far two masks agree: overlap of areas, and of outlines within a tolerance."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from analyzer_service.analyses.arrays import ArrayError

Mask = NDArray[np.bool_]

_ALL_AROUND: Final = np.ones((3, 3), dtype=bool)
NAMES: Final = ("iou", "dice", "precision", "recall", "f1")


def mask_scores(pred: ArrayLike, ref: ArrayLike) -> dict[str, float]:
    """Agreement of a predicted mask with a reference.

    Parameters
    ----------
    pred, ref : arrays of shape (H, W)
        Nonzero is inside.

    Returns
    -------
    dict of str to float
        ``iou``, ``dice``, ``precision``, ``recall`` and ``f1`` (the same as ``dice``), each in
        [0, 1]. Both empty: all NaN. Reference empty alone: recall NaN, the others 0; report such
        images by themselves (`is_without_annotation`), they say nothing of overlap. Prediction
        empty alone: precision NaN, the others 0.

    Raises
    ------
    ArrayError
        If both are not 2-D arrays of one shape.

    Examples
    --------
    >>> mask_scores([[1, 1, 0, 0]], [[0, 1, 1, 0]])["dice"]
    0.5
    """
    one, other = _pair(pred, ref)
    both, found, true = int((one & other).sum()), int(one.sum()), int(other.sum())
    if not found and not true:
        return dict.fromkeys(NAMES, math.nan)
    dice = 2.0 * both / (found + true)
    values = (
        both / (found + true - both),
        dice,
        both / found if found else math.nan,
        both / true if true else math.nan,
        dice,
    )
    return dict(zip(NAMES, values, strict=True))


def is_without_annotation(ref: ArrayLike) -> bool:
    """Tell whether a reference is empty, so that its image belongs to a stratum of its own.

    Raises
    ------
    ArrayError
        If it is no 2-D array.
    """
    return not _mask(ref).any()


def surface_dice(
    pred: ArrayLike, ref: ArrayLike, *, tolerance_px: float, cut: bool = False
) -> float:
    """Share of both outlines that lies within a tolerance of the other one.

    Parameters
    ----------
    pred, ref : arrays of shape (H, W)
        Nonzero is inside. Outlines are the pixels inside with a neighbor (4 of them) outside.
    tolerance_px : float
        At least 0; what annotators differ by among themselves is a sound choice.
    cut : bool
        Whether the masks are cut out of larger ones, as tiles are: then the image's border is no
        outline. If not, beyond the image is outside.

    Returns
    -------
    float
        In [0, 1]; NaN if neither has an outline, 0 if one of them has none.

    Raises
    ------
    ArrayError
        If both are not 2-D arrays of one shape, or the tolerance is negative.

    Notes
    -----
    Normalized surface distance, S. Nikolov et al., J. Med. Internet Res. 23 (2021) e26151, of
    pixels instead of lengths of outline.
    """
    if not tolerance_px >= 0:
        raise ArrayError(f"the tolerance must be 0 pixels or more, got {tolerance_px}")
    one, other = (_outline(mask, cut=cut) for mask in _pair(pred, ref))
    total = int(one.sum() + other.sum())
    if not total:
        return math.nan
    if not one.any() or not other.any():
        return 0.0
    near = _within(one, other, tolerance_px) + _within(other, one, tolerance_px)
    return near / total


def boundary_iou(pred: ArrayLike, ref: ArrayLike, *, width_px: int, cut: bool = False) -> float:
    """IoU of what lies inside of each mask along its outline: it does not grow with the area.

    Parameters
    ----------
    pred, ref : arrays of shape (H, W)
        Nonzero is inside.
    width_px : int
        Of the bands along the outlines, at least 1, over rows, columns and diagonals alike.
    cut : bool
        As of `surface_dice`.

    Returns
    -------
    float
        In [0, 1]; NaN if neither has an outline.

    Raises
    ------
    ArrayError
        If both are not 2-D arrays of one shape, or the width is below 1.

    Notes
    -----
    B. Cheng et al., "Boundary IoU", CVPR 2021, 15334-15342, with its authors' bands: the mask
    without what is left of it after `width_px` erosions by 3 x 3 pixels.
    """
    if width_px < 1:
        raise ArrayError(f"the width must be 1 pixel or more, got {width_px}")
    one, other = (_band(mask, width_px, cut=cut) for mask in _pair(pred, ref))
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else math.nan


def _within(outline: Mask, of: Mask, tolerance_px: float) -> int:
    distances = ndimage.distance_transform_edt(~of)
    return int((distances[outline] <= tolerance_px).sum())


def _outline(mask: Mask, *, cut: bool) -> Mask:
    inner: Mask = ndimage.binary_erosion(mask, border_value=cut)
    return mask & ~inner


def _band(mask: Mask, width_px: int, *, cut: bool) -> Mask:
    inner: Mask = ndimage.binary_erosion(mask, _ALL_AROUND, width_px, border_value=cut)
    return mask & ~inner


def _pair(pred: ArrayLike, ref: ArrayLike) -> tuple[Mask, Mask]:
    one, other = _mask(pred), _mask(ref)
    if one.shape != other.shape:
        raise ArrayError(
            f"masks to compare must have one shape, got {one.shape} and {other.shape}: bring "
            "them to the annotation's resolution"
        )
    return one, other


def _mask(mask: ArrayLike) -> Mask:
    array: NDArray[Any] = np.asarray(mask)
    if array.ndim != 2:
        raise ArrayError(f"expected a mask (H, W), got shape {array.shape}")
    inside: Mask = array != 0
    return inside
