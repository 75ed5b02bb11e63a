"""Agreement of readers: scikit-learn, textbook examples, and limits."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.masks import mask_scores
from analyzer_service.analyses.raters import (
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_dice,
    staple,
)


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_cohen_equals_scikit_learns(seed, labels):
    one, other = np.random.default_rng(seed).integers(0, labels, (2, 60))
    assert cohen_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


def test_fleiss_own_example():
    # J. L. Fleiss' worked example as Wikipedia's article on his kappa has it: 14 readers, 10
    # subjects, 5 categories; kappa 0.210.
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = np.array([np.repeat(np.arange(5), row) for row in counts]).T
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_krippendorffs_own_example():
    # K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C: four
    # readers, twelve units, missing values; nominal alpha 0.743.
    nan = math.nan
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    assert krippendorff_alpha(ratings) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("function", [fleiss_kappa, krippendorff_alpha])
def test_full_agreement_is_one_and_one_label_has_no_chance_to_beat(function):
    labels = np.arange(12) % 3
    assert function([labels, labels, labels]) == pytest.approx(1.0)
    assert math.isnan(function(np.ones((3, 12))))
    assert math.isnan(cohen_kappa(np.ones(5), np.ones(5)))


def test_units_that_one_reader_alone_labeled_do_not_count():
    assert math.isnan(krippendorff_alpha([[1.0, math.nan], [math.nan, 2.0]]))


def test_dice_of_each_pair():
    masks = np.random.default_rng(0).random((3, 8, 8)) < 0.5
    matrix = pairwise_dice(masks)
    assert matrix[0, 2] == matrix[2, 0] == mask_scores(masks[0], masks[2])["dice"]
    assert (np.diagonal(matrix) == 1.0).all()
    assert math.isnan(pairwise_dice(np.zeros((2, 4, 4)))[0, 1])


def test_readers_alike_have_their_mask_as_consensus():
    mask = np.random.default_rng(1).random((16, 16)) < 0.4
    np.testing.assert_allclose(staple(np.stack([mask] * 3)), mask, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_consensus_of_nothing_and_of_everything(value):
    np.testing.assert_array_equal(staple(np.full((3, 4, 4), value)), np.full((4, 4), value))


def test_a_careless_reader_is_not_heard_against_two_careful_ones():
    rng = np.random.default_rng(2)
    truth = rng.random((32, 32)) < 0.3
    careful = [truth ^ (rng.random(truth.shape) < 0.02) for _ in range(2)]
    careless = truth ^ (rng.random(truth.shape) < 0.4)
    consensus = staple(np.stack([*careful, careless])) >= 0.5
    agreed = careful[0] == careful[1]
    np.testing.assert_array_equal(consensus[agreed], careful[0][agreed])


@pytest.mark.parametrize(
    "call",
    [
        lambda: cohen_kappa([0, 1], [0, 1, 1]),
        lambda: fleiss_kappa([[0, 1]]),
        lambda: krippendorff_alpha(np.empty((2, 0))),
        lambda: staple(np.ones((4, 4))),
        lambda: pairwise_dice(np.empty((0, 4, 4))),
    ],
)
def test_what_cannot_be_compared_is_refused(call):
    with pytest.raises(ArrayError, match="expected"):
        call()
