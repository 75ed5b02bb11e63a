import numpy as np
import pytest

from analyzer_service.figures.series import (
    finite,
    fixed_scale,
    free_scale,
    mean_by_step,
    smoothed,
    step_scale,
)


def test_values_over_a_factor_of_20_get_a_logarithmic_scale() -> None:
    scale = free_scale(np.array([0.001, 0.01, 0.1]))
    assert scale.logarithmic
    places = scale.place(np.array([0.001, 0.01, 0.1]))
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert 0 < places[0] < places[2] < 1


def test_close_values_get_a_linear_scale_from_zero() -> None:
    scale = free_scale(np.array([0.4, 0.5]))
    assert (scale.low, scale.logarithmic) == (0.0, False)
    assert scale.place(np.array([0.0, 0.5])).tolist() == pytest.approx([0, 1 / 1.06])


@pytest.mark.parametrize(
    "values",
    [[], [np.nan], [0.0], [-3.0], [0.0, 0.0], [1e-300, 1e99], [-1e99, 1e99], [5e-324], [1e9] * 3],
)
def test_every_scale_is_finite_and_holds_its_values(values: list[float]) -> None:
    series = np.array(values, dtype=float)
    scale = free_scale(series)
    assert np.isfinite([scale.low, scale.high, *scale.ticks]).all()
    assert scale.low < scale.high
    places = scale.place(series[np.isfinite(series)])
    assert ((places >= 0) & (places <= 1)).all()
    assert len(scale.ticks) <= 5


def test_a_fixed_scale_only_widens() -> None:
    assert fixed_scale(0, 1, np.array([0.3, np.nan])).high == 1
    assert fixed_scale(0, 1, np.array([-0.2, 7.0])).low == -0.2


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(0.5, [0.0, 0.2, 0.4]), (0.31, [0.0, 0.2]), (2.9e6, [0.0, 1e6, 2e6]), (7.2, [0.0, 2.5, 5.0])],
)
def test_linear_ticks_are_round(last: float, ticks: list[float]) -> None:
    assert free_scale(np.array([0.0, last])).ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(1, [0, 1]), (3, [0, 1, 2, 3]), (12, [0, 5, 10]), (1200, [0, 250, 500, 750, 1000])],
)
def test_ticks_of_steps_are_whole(last: float, ticks: list[int]) -> None:
    assert step_scale(np.array([last])).ticks == pytest.approx(ticks)


def test_steps_run_from_zero_to_the_last_even_without_any() -> None:
    assert (step_scale(np.array([])).low, step_scale(np.array([])).high) == (0, 1)
    assert step_scale(np.array([10.0, 250.0])).high == 250
    assert all(tick == int(tick) for tick in step_scale(np.array([1.0, 3.0])).ticks)


def test_what_cannot_be_drawn_is_nan() -> None:
    drawable = finite(np.array([1.0, np.inf, -np.inf, np.nan, 1e200]))
    assert np.isnan(drawable).tolist() == [False, True, True, True, True]


def test_smoothing_keeps_a_constant_and_passes_over_gaps() -> None:
    values = np.full(500, 3.0)
    values[100:120] = np.nan
    result = smoothed(values)
    assert np.isnan(result).sum() == 20
    np.testing.assert_allclose(result[~np.isnan(result)], 3.0)


def test_smoothing_takes_noise_away_and_does_not_lag() -> None:
    ramp = np.linspace(0, 1, 600)
    noisy = ramp + np.random.default_rng(0).normal(0, 0.1, 600)
    middle = slice(50, 550)
    error = smoothed(noisy)[middle] - ramp[middle]
    assert error.std() < 0.04
    assert abs(error.mean()) < 0.01


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_short_series_can_be_smoothed(count: int) -> None:
    assert np.isfinite(smoothed(np.arange(count, dtype=float))).all()


def test_validation_batches_of_one_step_are_averaged() -> None:
    steps, values = mean_by_step(
        np.array([20.0, 10.0, 10.0, 20.0]), np.array([4.0, 1.0, 3.0, np.nan])
    )
    assert (steps.tolist(), values.tolist()) == ([10.0, 20.0], [2.0, 4.0])
