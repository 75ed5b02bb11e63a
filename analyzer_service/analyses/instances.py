"""How well predicted nuclei agree with annotated ones: panoptic quality, Jaccard index and Dice.

Everything follows from one table: how many pixels each pair of a reference and a predicted
instance shares. An instance is a positive label, whether its pixels hang together or not.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from analyzer_service.analyses.arrays import ArrayError, Floats, as_labels

MATCH_IOU: Final = 0.5  # above it no instance can have two partners

Ints = NDArray[np.int64]


def instance_scores(true: ArrayLike, pred: ArrayLike) -> dict[str, float]:
    """Score predicted instances against reference instances.

    Parameters
    ----------
    true, pred : arrays of one shape (H, W), integer
        Labels, 0 = background; numbers need not be consecutive.

    Returns
    -------
    dict of str to float
        All in [0, 1], 1 for equal instances:

        ``dq``
            Detection quality: F1 over the pairs with an IoU above 0.5.
        ``sq``
            Segmentation quality: mean IoU of those pairs; NaN if there is none.
        ``pq``
            Panoptic quality, ``dq * sq``; 0 if nothing is paired.
        ``aji``
            Aggregated Jaccard index. Each reference instance takes the prediction with its
            highest IoU, several may take the same: swapping the arguments changes the value.
        ``aji_plus``
            The same with one-to-one pairs that maximize the sum of IoUs.
        ``dice``
            Dice coefficient of the two foregrounds.

        Without any instance on either side all are NaN; on one side only, all but ``sq`` are 0.

    Raises
    ------
    ArrayError
        If one is no label image, or their shapes differ.

    Notes
    -----
    PQ: Kirillov et al., "Panoptic segmentation", CVPR 2019. AJI: Kumar et al., IEEE TMI 36
    (2017) 1550-1560. AJI+ and the treatment of ties: Graham et al., "HoVer-Net", Medical Image
    Analysis 58 (2019) 101563, and its published code.

    Examples
    --------
    >>> scores = instance_scores([[1, 1, 0, 2]], [[1, 1, 0, 0]])
    >>> scores["dice"], scores["aji"], round(scores["dq"], 3)
    (0.8, 0.6666666666666666, 0.667)
    """
    table = _overlaps(as_labels(true), as_labels(pred))
    if not table.true_areas.size and not table.pred_areas.size:
        return dict.fromkeys(("dq", "sq", "pq", "aji", "aji_plus", "dice"), math.nan)
    return {
        **_panoptic(table),
        "aji": _jaccard(table, *_best_pairs(table)),
        "aji_plus": _jaccard(table, *_unique_pairs(table)),
        "dice": _dice(table),
    }


@dataclass(frozen=True)
class _Overlaps:
    """Areas of all instances in pixels, and the pairs that share any: indices, pixels, IoU."""

    true_areas: Ints
    pred_areas: Ints
    first: Ints
    second: Ints
    shared: Ints

    @property
    def unions(self) -> Ints:
        return self.true_areas[self.first] + self.pred_areas[self.second] - self.shared

    @property
    def ious(self) -> Floats:
        return np.asarray(self.shared / self.unions)


def _overlaps(true: NDArray[Any], pred: NDArray[Any]) -> _Overlaps:
    if true.shape != pred.shape:
        raise ArrayError(f"labels to compare must have one shape, got {true.shape}, {pred.shape}")
    first, true_areas = _numbered(true)
    second, pred_areas = _numbered(pred)
    both = (first >= 0) & (second >= 0)
    columns = max(len(pred_areas), 1)
    codes, shared = np.unique(first[both] * columns + second[both], return_counts=True)
    return _Overlaps(true_areas, pred_areas, codes // columns, codes % columns, shared)


def _numbered(labels: NDArray[Any]) -> tuple[Ints, Ints]:
    """Each pixel's instance, from 0 by rising label, -1 the background; each instance's area."""
    found, place, areas = np.unique(labels, return_inverse=True, return_counts=True)
    background = int(np.count_nonzero(found == 0))  # labels are not negative: it comes first
    return place.ravel().astype(np.int64) - background, areas[background:].astype(np.int64)


def _panoptic(table: _Overlaps) -> dict[str, float]:
    matched = table.ious[table.ious > MATCH_IOU]
    quality = 2 * len(matched) / (len(table.true_areas) + len(table.pred_areas))
    if not len(matched):
        return {"dq": 0.0, "sq": math.nan, "pq": 0.0}
    overlap = math.fsum(matched) / len(matched)
    return {"dq": quality, "sq": overlap, "pq": quality * overlap}


def _best_pairs(table: _Overlaps) -> tuple[Ints, Ints]:
    """Indices of the pairs in which a reference instance meets its best prediction.

    Pairs come by rising reference, then prediction: a stable sort leaves the first of equals.
    """
    order = np.lexsort((-table.ious, table.first))
    _, starts = np.unique(table.first[order], return_index=True)
    best = order[starts]
    return table.first[best], table.second[best]


def _unique_pairs(table: _Overlaps) -> tuple[Ints, Ints]:
    ious = np.zeros((len(table.true_areas), len(table.pred_areas)))
    ious[table.first, table.second] = table.ious
    first, second = linear_sum_assignment(ious, maximize=True)
    overlapping = ious[first, second] > 0
    return first[overlapping], second[overlapping]


def _jaccard(table: _Overlaps, first: Ints, second: Ints) -> float:
    """Shared pixels of the pairs over their unions and over whatever instance is in no pair."""
    shared = np.zeros((len(table.true_areas), len(table.pred_areas)), dtype=np.int64)
    shared[table.first, table.second] = table.shared
    inside = shared[first, second]
    unions = table.true_areas[first] + table.pred_areas[second] - inside
    left = np.delete(table.true_areas, first).sum() + np.delete(table.pred_areas, second).sum()
    return float(inside.sum() / (unions.sum() + left))


def _dice(table: _Overlaps) -> float:
    return float(2 * table.shared.sum() / (table.true_areas.sum() + table.pred_areas.sum()))
