"""How far two masks agree: overlap of areas, and of outlines within a tolerance."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from analyzer_service.analyses.arrays import ArrayError

Mask = NDArray[np.bool_]

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


def surface_dice(pred: ArrayLike, ref: ArrayLike, *, tolerance_px: float) -> float:
    """Share of both outlines that lies within a tolerance of the other one.

    Parameters
    ----------
    pred, ref : arrays of shape (H, W)
        Nonzero is inside. Outlines are the pixels inside with a neighbor (4 of them) outside;
        beyond the image is outside.
    tolerance_px : float
        At least 0; what annotators differ by among themselves is a sound choice.

    Returns
    -------
    float
        In [0, 1]; NaN if both are empty, 0 if one is.

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
    one, other = (_outline(mask) for mask in _pair(pred, ref))
    total = int(one.sum() + other.sum())
    if not total:
        return math.nan
    if not one.any() or not other.any():
        return 0.0
    near = _within(one, other, tolerance_px) + _within(other, one, tolerance_px)
    return near / total


def _within(outline: Mask, of: Mask, tolerance_px: float) -> int:
    distances = ndimage.distance_transform_edt(~of)
    return int((distances[outline] <= tolerance_px).sum())


def _outline(mask: Mask) -> Mask:
    inner: Mask = ndimage.binary_erosion(mask, border_value=0)
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
