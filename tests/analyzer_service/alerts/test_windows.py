"""Windows against numpy, slopes against scipy."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau, theilslopes

from analyzer_service.alerts.windows import Window, theil_sen


@pytest.mark.parametrize("size", [4, 5, 50])
def test_quantiles_are_numpys_of_the_last_values(size: int) -> None:
    values = np.random.default_rng(3).normal(size=200).round(1)  # with ties
    window = Window(size)
    for count, value in enumerate(values, start=1):
        window.push(float(value))
        last = values[max(0, count - size) : count]
        assert window.values() == last.tolist()
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert window.quantile(share) == pytest.approx(np.quantile(last, share), abs=1e-12)
        assert window.total() == pytest.approx(last.sum(), abs=1e-12)
        assert window.full is (count >= size)


def test_nan_is_left_out_and_infinity_is_kept() -> None:
    window = Window(4)
    for value in (1.0, math.nan, math.inf, math.inf):
        window.push(value)
    assert window.values() == [1.0, math.inf, math.inf]
    assert window.median() == math.inf


def test_nothing_is_undefined() -> None:
    assert math.isnan(Window(4).median())


def test_a_window_refilled_goes_on_as_the_first() -> None:
    one, other = Window(5), Window(5)
    for value in (3.0, 1.0, 2.0, 9.0, 4.0, 7.0):
        one.push(value)
    other.refill(one.values())
    for value in (5.0, 0.0):
        one.push(value)
        other.push(value)
        assert one.values() == other.values()
        assert one.quantile(0.25) == other.quantile(0.25)


def test_slope_and_steadiness_are_scipys() -> None:
    generator = np.random.default_rng(5)
    for count in (2, 7, 40):
        values = np.cumsum(generator.normal(0.3, 1.0, size=count))
        slope, steadiness = theil_sen(values)
        assert slope == pytest.approx(theilslopes(values).slope, abs=1e-12)
        tau = kendalltau(np.arange(count), values, variant="b").statistic  # without ties: tau a
        assert steadiness == pytest.approx(tau, abs=1e-12)
