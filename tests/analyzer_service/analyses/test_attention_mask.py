"""Attention as a prediction of an annotation: scikit-learn on the enlarged gate."""

import doctest
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from analyzer_service.analyses import attention_mask
from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention_mask import attention_mask_scores, ceiling, half_maximum
from analyzer_service.analyses.masks import mask_scores
from tests.analyzer_service.analyses.maps import noise, smooth


def case(seed, *, digits=16):
    gate = smooth(8, 8, seed=seed).round(digits)
    mask = np.random.default_rng(seed).random((32, 32)) < 0.3
    return gate, mask, np.kron(gate, np.ones((4, 4)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("digits", [16, 1])
def test_threshold_free_scores_equal_scikit_learns(seed, digits):
    gate, mask, pixels = case(seed, digits=digits)
    found = attention_mask_scores(gate, mask)
    flat = mask.ravel(), pixels.ravel()
    assert found["auc"] == pytest.approx(roc_auc_score(*flat), rel=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(*flat), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_area_matched_is_the_share_of_the_most_attended_pixels(seed):
    gate = noise(8, 8, seed=seed)
    mask = np.kron(np.random.default_rng(seed).random((8, 8)) < 0.3, np.ones((4, 4))) > 0
    pixels = np.kron(gate, np.ones((4, 4)))
    top = pixels >= np.sort(pixels.ravel())[-mask.sum()]
    found = attention_mask_scores(gate, mask)["area_matched"]
    assert found == pytest.approx(mask_scores(top, mask)["dice"], rel=1e-12)


def test_above_half_of_the_range():
    gate, mask, pixels = case(4)
    above = pixels >= (gate.min() + gate.max()) / 2
    expected = mask_scores(above, mask)
    found = attention_mask_scores(gate, mask)
    for name in ("iou", "dice", "precision", "recall"):
        assert found[f"half_maximum_{name}"] == pytest.approx(expected[name])


def test_the_example():
    assert doctest.testmod(attention_mask).failed == 0


def test_above_half_at_any_resolution():
    gate, _, pixels = case(5)
    above = pixels >= (gate.min() + gate.max()) / 2
    np.testing.assert_array_equal(half_maximum(gate, (32, 32)), above)
    assert half_maximum(gate, (20, 12)).shape == (20, 12)
    with pytest.raises(ArrayError):
        half_maximum(gate[0], (4, 4))


def test_small_marks_have_a_low_ceiling_and_whole_cells_a_full_one():
    specks = np.zeros((32, 32))
    specks[2::8, 2::8] = 1  # a pixel in a cell of 16: no cell is half covered
    cells = np.kron(np.eye(8), np.ones((4, 4)))
    assert ceiling(specks, (8, 8)) == 0.0
    assert ceiling(cells, (8, 8)) == 1.0


def test_without_a_pattern_or_an_annotation_only_the_ceiling_is_known():
    gate, mask, _ = case(1)
    flat = attention_mask_scores(np.full((8, 8), 0.5), mask)
    assert flat["overlap"] == pytest.approx(mask.mean())
    assert flat["ceiling"] >= 0.0
    names = ("auc", "average_precision", "area_matched", "half_maximum_dice")
    assert all(math.isnan(flat[name]) for name in names)
    nothing = attention_mask_scores(gate, np.zeros((32, 32)))
    assert all(math.isnan(value) for value in nothing.values())


def test_what_is_no_annotation_is_refused():
    with pytest.raises(ArrayError, match="annotation"):
        attention_mask_scores(np.eye(4), np.ones(4))
