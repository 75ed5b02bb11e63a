import math

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.significance import ArrayError, toroidal_shift_test
from tests.analyzer_service.analyses.maps import noise, smooth


@pytest.mark.parametrize("shape", [(2, 2), (4, 7), (5, 5), (12, 9)])
@pytest.mark.parametrize("make", [noise, smooth])
def test_every_shift_equals_numpy_roll_and_scipy(shape, make):
    a, f = make(*shape, seed=1), make(*shape, seed=2)
    expected = np.array(
        [
            [
                scipy.stats.pearsonr(a.ravel(), np.roll(f, (i, j), (0, 1)).ravel()).statistic
                for j in range(shape[1])
            ]
            for i in range(shape[0])
        ]
    )
    found = toroidal_shift_test(a, f)
    np.testing.assert_allclose(found.shifts, expected, atol=1e-12)
    assert found.r == found.shifts[0, 0]
    assert found.p == np.mean(np.abs(expected) >= abs(expected[0, 0]) - 1e-11)
    assert found.max_abs_r == pytest.approx(np.abs(expected).max(), abs=1e-12)


def test_p_is_at_least_one_of_the_cells():
    a = noise(4, 4)
    assert toroidal_shift_test(a, a).p == 1 / 16
    stripes = np.tile([0.0, 1.0], (4, 2))
    assert toroidal_shift_test(stripes, stripes).p == 1


@pytest.mark.parametrize(
    "patternless", [np.ones((6, 9)), np.full((6, 9), np.nan), np.full((6, 9), -np.inf)]
)
def test_a_map_without_a_pattern_is_undefined(patternless):
    for found in (
        toroidal_shift_test(patternless, noise(6, 9)),
        toroidal_shift_test(noise(6, 9), patternless),
    ):
        assert all(map(math.isnan, (found.r, found.p, found.max_abs_r)))
        assert found.shifts.shape == (6, 9)


@pytest.mark.parametrize("shape", [(1, 9), (0, 0), (1, 1), (3, 0)])
def test_a_tiny_grid_is_undefined(shape):
    assert math.isnan(toroidal_shift_test(noise(*shape), noise(*shape)).p)


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ArrayError, match="regrid"):
        toroidal_shift_test(noise(8, 8), noise(4, 4))
