import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.significance import ArrayError, benjamini_hochberg


@pytest.mark.parametrize("count", [1, 2, 17, 300])
@pytest.mark.parametrize("decimals", [1, 15])
def test_it_equals_scipy(count, decimals):
    p = (np.random.default_rng(count).random(count) ** 2).round(decimals)
    np.testing.assert_allclose(
        benjamini_hochberg(p), scipy.stats.false_discovery_control(p), atol=1e-15
    )


def test_undefined_tests_pass_through_and_do_not_count():
    p = np.random.default_rng(0).random((4, 6)) ** 3
    p[1, 2] = p[3, 5] = p[0, 0] = np.nan
    adjusted = benjamini_hochberg(p)
    assert adjusted.shape == p.shape
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(p))
    known = ~np.isnan(p)
    np.testing.assert_allclose(
        adjusted[known], scipy.stats.false_discovery_control(p[known]), atol=1e-15
    )


def test_it_does_not_change_its_input():
    p = np.array([0.04, 0.01, 0.03])
    benjamini_hochberg(p)
    assert p.tolist() == [0.04, 0.01, 0.03]


def test_the_extremes_stay_in_range():
    assert benjamini_hochberg([0, 1, 1]).tolist() == [0, 1, 1]
    assert benjamini_hochberg([]).tolist() == []
    assert np.isnan(benjamini_hochberg([None, np.nan])).all()
    assert benjamini_hochberg(0.02) == pytest.approx(0.02)


@pytest.mark.parametrize("p", [[-0.1], [0.5, 1.1], [np.inf], ["a"]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ArrayError):
        benjamini_hochberg(p)
