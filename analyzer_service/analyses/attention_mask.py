"""Attention as a prediction of an annotation: scores at the annotation's own resolution.

A gate's cells are larger than pixels, and every pixel of a cell has its value. So each score is
computed from the cells, each with the share of it that the annotation covers: the same numbers as
of the gate enlarged by its nearest neighbor, where the sizes divide.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map
from analyzer_service.analyses.density import overlap_matrix
from analyzer_service.analyses.masks import Mask, mask_scores
from analyzer_service.analyses.overlap import area_fractions, stack_nuclear_attention
from analyzer_service.analyses.status import OK, status_codes

HALF: Final = 0.5


def attention_mask_scores(gate: ArrayLike, ref: ArrayLike) -> dict[str, float]:
    """How well attention finds what is annotated.

    Parameters
    ----------
    gate : array of shape (h, w)
    ref : array of shape (H, W)
        Nonzero where annotated.

    Returns
    -------
    dict of str to float
        Free of a threshold: ``auc``, ``average_precision``, ``overlap`` and ``enrichment`` (see
        `overlap.nuclear_attention`), ``nss``. With as much area as the annotation has:
        ``area_matched`` (its precision, recall and Dice are one number; Quantus calls it
        relevance rank accuracy). Above half of the range: ``half_maximum_iou``, ``…_dice``,
        ``…_precision``, ``…_recall``. ``ceiling``: Dice of the annotation brought to the gate's
        grid and back, the most that cells of this size allow. NaN for a gate without a pattern
        (but for ``ceiling``), and for an empty annotation.

    Raises
    ------
    ArrayError
        If `gate` is no real-valued 2-D array or `ref` no 2-D array.
    """
    maps = as_map(gate)
    mask = np.asarray(ref) != 0
    if mask.ndim != 2 or 0 in mask.shape:
        raise ArrayError(f"expected an annotation (H, W), got shape {mask.shape}")
    inside = area_fractions(mask, maps.shape)
    shared = stack_nuclear_attention(maps[None], inside[None])
    scores = {
        name.removeprefix("nuclear_attention_"): float(column[0]) for name, column in shared.items()
    }
    usable = status_codes(maps[None])[0] == OK and mask.any()
    scores |= {
        "average_precision": average_precision(maps, inside) if usable else math.nan,
        "area_matched": area_matched(maps, inside) if usable else math.nan,
    }
    half = mask_scores(half_maximum(maps, mask.shape), mask) if usable else {}
    for name in ("iou", "dice", "precision", "recall"):
        scores[f"half_maximum_{name}"] = half.get(name, math.nan)
    scores["ceiling"] = ceiling(mask, maps.shape) if mask.any() else math.nan
    return scores


def average_precision(gate: Floats, inside: Floats) -> float:
    """Area under precision over recall, step by step as `sklearn` has it.

    Parameters
    ----------
    gate, inside : ndarray of shape (h, w)
        Attention, and the covered share of each cell, not all 0.
    """
    covered, area = _from_the_top(gate, inside)
    recall = covered / covered[-1]
    steps = np.diff(recall, prepend=0.0)
    return float((steps * covered / area).sum())


def area_matched(gate: Floats, inside: Floats) -> float:
    """Share of the most attended area, as large as the covered one, that is covered.

    Cells of one value are taken together, in part if need be.
    """
    covered, area = _from_the_top(gate, inside)
    wanted = float(inside.sum())
    return float(np.interp(wanted, np.r_[0.0, area], np.r_[0.0, covered])) / wanted


def half_maximum(gate: ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Where attention is above half of its range, at the resolution of an annotation.

    Parameters
    ----------
    gate : array of shape (h, w)
        Of a constant one all is above.
    shape : (int, int)
        Rows and columns of the result. A pixel that has parts of several cells is inside if at
        least half of it is.

    Returns
    -------
    ndarray of shape `shape`, bool

    Raises
    ------
    ArrayError
        If `gate` is no real-valued 2-D array.

    Examples
    --------
    >>> half_maximum([[0.0, 1.0]], (1, 4))
    array([[False, False,  True,  True]])
    """
    maps = as_map(gate)
    above = maps >= (maps.min() + maps.max()) / 2.0
    inside: Mask = _enlarged(above.astype(np.float64), shape) >= HALF
    return inside


def ceiling(mask: ArrayLike, grid: tuple[int, ...]) -> float:
    """Dice of a mask (H, W) with itself after it was brought to `grid` and back.

    On the grid a cell is inside if half of it is.
    """
    pixels = np.asarray(mask) != 0
    coarse = area_fractions(pixels, grid) >= HALF
    return mask_scores(_enlarged(coarse.astype(np.float64), pixels.shape) >= HALF, pixels)["dice"]


def _enlarged(cells: Floats, shape: tuple[int, ...]) -> Floats:
    """Value of the cells in each pixel, by shared area where a pixel has several."""
    rows = overlap_matrix(cells.shape[0], shape[0])
    columns = overlap_matrix(cells.shape[1], shape[1])
    result: Floats = rows.T @ cells @ columns
    return result


def _from_the_top(gate: Floats, inside: Floats) -> tuple[Floats, Floats]:
    """Covered and whole area of the cells from the highest value down, value by value."""
    values, group = np.unique(-gate.ravel(), return_inverse=True)
    covered = np.bincount(group, inside.ravel(), minlength=len(values))
    area = np.bincount(group, minlength=len(values)).astype(np.float64)
    return np.cumsum(covered), np.cumsum(area)
