"""Expected values by hand, or by masks compared one by one as the definitions read."""

import math

import numpy as np
import pytest

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.instances import instance_scores

NAMES = {"dq", "sq", "pq", "aji", "aji_plus", "dice"}


def squares(seed, count=12, size=40):
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), int)
    for number in range(1, count + 1):
        row, col = rng.integers(0, size - 6, 2)
        height, width = rng.integers(3, 9, 2)
        labels[row : row + height, col : col + width] = number
    return labels


def jostled(labels, seed):
    rng = np.random.default_rng(seed)
    moved = np.roll(labels, rng.integers(0, 2, 2), axis=(0, 1))
    moved[rng.random(labels.shape) < 0.05] = 0
    return moved


def by_masks(true, pred):
    """PQ and AJI as their papers define them, mask by mask."""
    ours = [true == label for label in np.unique(true) if label]
    theirs = [pred == label for label in np.unique(pred) if label]
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in theirs] for a in ours])
    matched = iou[iou > 0.5]
    quality = 2 * len(matched) / (len(ours) + len(theirs))
    inside, union, used = 0, 0, set()
    for row, a in zip(iou, ours, strict=True):
        best = int(row.argmax())
        if row[best] > 0:
            used.add(best)
            inside += (a & theirs[best]).sum()
            union += (a | theirs[best]).sum()
        else:
            union += a.sum()
    union += sum(b.sum() for i, b in enumerate(theirs) if i not in used)
    return {
        "dq": quality,
        "sq": matched.mean(),
        "pq": quality * matched.mean(),
        "aji": inside / union,
    }


@pytest.mark.parametrize("seed", range(5))
def test_against_masks_compared_one_by_one(seed):
    true = squares(seed)
    pred = jostled(true, seed)
    scores = instance_scores(true, pred)
    assert set(scores) == NAMES
    for name, value in by_masks(true, pred).items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name
    overlap = ((true > 0) & (pred > 0)).sum()
    assert scores["dice"] == pytest.approx(2 * overlap / ((true > 0).sum() + (pred > 0).sum()))


def test_equal_instances_score_one_whatever_their_numbers():
    true = squares(0)
    renamed = np.where(true > 0, 10**12 - true.astype(np.int64), 0)
    assert instance_scores(true, renamed) == dict.fromkeys(NAMES, 1.0)


def test_aji_is_not_symmetric_and_aji_plus_pairs_once():
    one = np.array([[1, 1, 1, 1, 2, 2, 2]])
    both = np.array([[5, 5, 5, 5, 5, 5, 5]])
    # each of two takes the one prediction: (4 + 3) / (7 + 7); one to one: 4 / (7 + 3)
    assert instance_scores(one, both)["aji"] == 0.5
    assert instance_scores(one, both)["aji_plus"] == pytest.approx(0.4)
    # the one takes the better of two: 4 / (7 + 3)
    assert instance_scores(both, one)["aji"] == pytest.approx(0.4)


def test_half_an_overlap_is_no_match():
    scores = instance_scores([[1, 1]], [[1, 0]])
    assert (scores["dq"], scores["pq"], scores["aji"]) == (0, 0, 0.5)
    assert math.isnan(scores["sq"])


def test_of_equally_good_predictions_the_lower_label_is_taken():
    # either way shared 1, union 2, and the other prediction counts against it
    assert instance_scores([[1, 1]], [[8, 3]])["aji"] == pytest.approx(1 / 3)


def test_nothing_on_both_sides_is_undefined():
    nothing = np.zeros((4, 4), int)
    assert all(math.isnan(value) for value in instance_scores(nothing, nothing).values())
    empty = np.zeros((0, 4), int)
    assert all(math.isnan(value) for value in instance_scores(empty, empty).values())


@pytest.mark.parametrize("swap", [False, True])
def test_something_on_one_side_only_scores_nothing(swap):
    some, nothing = np.array([[0, 1], [2, 2]]), np.zeros((2, 2), int)
    scores = instance_scores(nothing, some) if swap else instance_scores(some, nothing)
    assert math.isnan(scores.pop("sq"))
    assert set(scores.values()) == {0.0}


def test_types_do_not_matter():
    true, pred = squares(3), jostled(squares(3), 1)
    assert instance_scores(true.astype(np.uint8), pred.astype(np.uint16)) == instance_scores(
        true, pred
    )


@pytest.mark.parametrize(
    ("true", "pred"),
    [
        (np.zeros((3, 3), int), np.zeros((3, 4), int)),
        (np.zeros((3, 3)), np.zeros((3, 3), int)),
        (np.zeros((3, 3), int), np.zeros((3, 3), bool)),
        (np.zeros(3, int), np.zeros(3, int)),
        (np.zeros((3, 3), int), np.full((3, 3), -2)),
    ],
    ids=["sizes", "float", "mask", "1-D", "negative"],
)
def test_what_cannot_be_compared(true, pred):
    with pytest.raises(ArrayError):
        instance_scores(true, pred)
