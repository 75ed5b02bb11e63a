"""Expected values come from SciPy's labels, or by hand."""

import math

import numpy as np
import pytest
from scipy import ndimage

from analyzer_service.analyses.nuclei_mask import HOLE_SHARE, depth, typical_radius, without_holes
from tests.analyzer_service.analyses.scenes import disk


def filled_one_by_one(mask, limit):
    """Each 4-connected piece of background that meets no border, with the islands in it."""
    pieces, count = ndimage.label(np.pad(mask == 0, 1, constant_values=True))
    result = mask.copy()
    for piece in range(1, count + 1):
        inside = (pieces == piece)[1:-1, 1:-1]
        enclosed = ndimage.binary_fill_holes(inside, np.ones((3, 3)))
        if piece != pieces[0, 0] and enclosed.sum() <= limit:
            result[enclosed] = 1
    return result


@pytest.mark.parametrize("radius", [2.0, 4.0, 9.0])
@pytest.mark.parametrize("grain", [1, 3])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.8])
def test_holes_that_fit_into_a_nucleus_are_filled(radius, grain, share):
    rng = np.random.default_rng(int(10 * share))
    noise = ndimage.uniform_filter(rng.random((60, 70)), grain)
    mask = (noise < np.quantile(noise, share)).astype(np.uint8)
    before = mask.copy()
    expected = filled_one_by_one(mask, math.pi * (HOLE_SHARE * radius) ** 2)
    assert np.array_equal(without_holes(mask, radius), expected)
    assert np.array_equal(mask, before)


def test_an_opening_at_the_border_is_no_hole():
    mask = np.ones((20, 20), np.uint8)
    mask[0, 5] = mask[9, 9] = mask[19, 19] = 0
    filled = without_holes(mask, 6.0)
    assert np.argwhere(filled == 0).tolist() == [[0, 5], [19, 19]]


@pytest.mark.parametrize("value", [0, 1])
def test_what_has_no_hole_stays(value):
    mask = np.full((9, 7), value, np.uint8)
    assert np.array_equal(without_holes(mask, 5.0), mask)


def test_the_radius_of_disks():
    mask = np.zeros((128, 128), np.uint8)
    for center in ((30, 30), (30, 90), (90, 30), (90, 90)):
        mask[disk(*center, 12)] = 1
    assert typical_radius(depth(mask)) == pytest.approx(12, abs=1.5)
