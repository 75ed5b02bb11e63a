"""Masks against masks: scikit-learn, and by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.masks import (
    NAMES,
    is_without_annotation,
    mask_scores,
    surface_dice,
)

EMPTY, FULL = np.zeros((4, 4)), np.ones((4, 4))


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learns(seed):
    pred, ref = np.random.default_rng(seed).random((2, 16, 20)) < 0.4
    expected = {
        "iou": jaccard_score(ref.ravel(), pred.ravel()),
        "dice": f1_score(ref.ravel(), pred.ravel()),
        "precision": precision_score(ref.ravel(), pred.ravel()),
        "recall": recall_score(ref.ravel(), pred.ravel()),
        "f1": f1_score(ref.ravel(), pred.ravel()),
    }
    assert mask_scores(pred, ref) == pytest.approx(expected, rel=1e-12)


def test_what_nobody_marked_has_no_score():
    assert all(math.isnan(value) for value in mask_scores(EMPTY, EMPTY).values())


def test_a_reference_without_marks_has_no_recall_and_no_overlap():
    found = mask_scores(FULL, EMPTY)
    assert math.isnan(found.pop("recall"))
    assert found == {"iou": 0.0, "dice": 0.0, "precision": 0.0, "f1": 0.0}
    assert is_without_annotation(EMPTY)
    assert not is_without_annotation(FULL)


def test_a_prediction_of_nothing_has_no_precision():
    found = mask_scores(EMPTY, FULL)
    assert math.isnan(found.pop("precision"))
    assert found == {"iou": 0.0, "dice": 0.0, "recall": 0.0, "f1": 0.0}


def square(row, col, side=6, size=24):
    mask = np.zeros((size, size), bool)
    mask[row : row + side, col : col + side] = True
    return mask


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 12])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 1.5, 2.0])
def test_outlines_agree_within_the_tolerance(shift, tolerance):
    one, other = square(3, 3), square(4, 3 + shift)
    found = surface_dice(one, other, tolerance_px=tolerance)
    assert found == pytest.approx(brute_force(one, other, tolerance))


def test_outlines_by_hand():
    assert surface_dice(square(3, 3), square(3, 4), tolerance_px=1) == 1.0
    assert surface_dice(square(3, 3), square(3, 15), tolerance_px=1) == 0.0


def brute_force(one, other, tolerance):
    outlines = [outline(one), outline(other)]
    near = sum(
        min(math.dist(p, q) for q in outlines[1 - i]) <= tolerance
        for i in (0, 1)
        for p in outlines[i]
    )
    return near / (len(outlines[0]) + len(outlines[1]))


def outline(mask):
    padded = np.pad(mask, 1)
    return [
        (row, col)
        for row, col in np.argwhere(mask)
        if not all(
            padded[row + 1 + dr, col + 1 + dc] for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0))
        )
    ]


def test_outlines_of_nothing():
    assert math.isnan(surface_dice(EMPTY, EMPTY, tolerance_px=1))
    assert surface_dice(EMPTY, FULL, tolerance_px=1) == 0.0


def test_bad_masks_are_refused():
    with pytest.raises(ArrayError, match="one shape"):
        mask_scores(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ArrayError, match=r"mask \(H, W\)"):
        mask_scores(np.ones(4), np.ones(4))
    with pytest.raises(ArrayError, match="tolerance"):
        surface_dice(FULL, FULL, tolerance_px=-1)
    assert set(mask_scores(FULL, FULL)) == set(NAMES)
