"""Masks against masks: scikit-learn, and by hand."""

import math

import cv2
import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.masks import (
    NAMES,
    boundary_iou,
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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [1, 2, 5])
def test_bands_as_their_authors_have_them(seed, width):
    """By OpenCV, step by step as the authors' code: pad, erode by 3 x 3, take away, IoU."""
    one, other = blobs(seed), blobs(seed + 10)
    bands = []
    for mask in (one, other):
        padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        left = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
        bands.append(mask & (left == 0))
    expected = jaccard_score(bands[0].ravel(), bands[1].ravel())
    assert boundary_iou(one, other, width_px=width) == pytest.approx(expected, rel=1e-12)


def blobs(seed):
    noise = np.random.default_rng(seed).random((40, 48)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 4) > 0.5


def test_bands_by_hand():
    """Squares of 6 x 6 a column apart: rings of 20 pixels, of which each has 6 + 6 and 2 + 2."""
    one, other = square(3, 3), square(3, 4)
    assert boundary_iou(one, other, width_px=1) == pytest.approx(10 / 30)
    assert boundary_iou(one, other, width_px=3) == pytest.approx(30 / 42), "bands are all of it"


def test_where_a_tile_cuts_an_area_there_is_no_outline():
    left, wider = np.zeros((2, 20, 20), bool)
    left[:, :6], wider[:, :9] = True, True
    assert surface_dice(left, wider, tolerance_px=2, cut=True) == 0.0
    assert surface_dice(left, wider, tolerance_px=2) > 0.6, "three of four sides are the image's"
    assert boundary_iou(left, wider, width_px=2, cut=True) == 0.0
    assert boundary_iou(left, left, width_px=2, cut=True) == 1.0
    assert math.isnan(surface_dice(FULL, FULL, tolerance_px=1, cut=True))
    assert math.isnan(boundary_iou(FULL, FULL, width_px=1, cut=True))
    assert surface_dice(FULL, FULL, tolerance_px=1) == boundary_iou(FULL, FULL, width_px=1) == 1.0


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
    assert math.isnan(boundary_iou(EMPTY, EMPTY, width_px=1))
    assert boundary_iou(EMPTY, FULL, width_px=1) == 0.0


def test_bad_masks_are_refused():
    with pytest.raises(ArrayError, match="one shape"):
        mask_scores(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ArrayError, match=r"mask \(H, W\)"):
        mask_scores(np.ones(4), np.ones(4))
    with pytest.raises(ArrayError, match="tolerance"):
        surface_dice(FULL, FULL, tolerance_px=-1)
    with pytest.raises(ArrayError, match="width"):
        boundary_iou(FULL, FULL, width_px=0)
    assert set(mask_scores(FULL, FULL)) == set(NAMES)
