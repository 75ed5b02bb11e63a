"""Rolling quantiles, against numpy's on windows that are cut out one by one."""

import numpy as np
import pytest

from analyzer_service.html.trends import by_step, rolling


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100, 1024, 2048])
def test_rolling_quantiles_equal_numpys(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    values[3:5] = np.nan
    steps = np.arange(count, dtype=float) * 3 + 1

    trend = rolling(steps, values)

    assert len(trend.steps) == min(count, 120)
    half = trend.window // 2
    for at, *found in zip(trend.steps, trend.low, trend.middle, trend.high, strict=True):
        center = int((at - 1) / 3)
        part = values[max(center - half, 0) : center + half + 1]
        part = part[np.isfinite(part)]
        expected = np.quantile(part, (0.1, 0.5, 0.9)) if part.size else [np.nan] * 3
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_both_ends_are_there() -> None:
    trend = rolling(np.arange(1000.0), np.zeros(1000))

    assert (trend.steps[0], trend.steps[-1]) == (0.0, 999.0)
    assert trend.window == 25


def test_each_validation_has_its_own_quantiles() -> None:
    steps = np.array([10.0, 10, 10, 20, 20, 30])
    values = np.array([3.0, 1, 2, 5, np.nan, np.nan])

    trend = by_step(steps, values)

    assert trend.steps.tolist() == [10.0, 20.0, 30.0]
    np.testing.assert_allclose(trend.middle, [2.0, 5.0, np.nan])
    np.testing.assert_allclose(trend.low, [np.quantile([1, 2, 3], 0.1), 5.0, np.nan])
    np.testing.assert_allclose(trend.high, [np.quantile([1, 2, 3], 0.9), 5.0, np.nan])
    assert trend.window == 0


def test_many_validations_are_rolled() -> None:
    assert by_step(np.arange(500.0), np.zeros(500)).window > 0
