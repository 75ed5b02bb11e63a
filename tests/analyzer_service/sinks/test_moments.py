"""Statistics against numpy, in chunks of every size."""

import math

import numpy as np
import pytest

from analyzer_service.sinks.moments import CHUNK, KEPT_VALUES, Column, Kept, Moments, Table


def _column(values: list[float | None]) -> Moments:
    table = Table()
    for value in values:
        table.add({"metric": value})
    return table.columns()["metric"].moments


@pytest.mark.parametrize("count", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7])
def test_one_pass_equals_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(1e6, 1.0, size=count)

    moments = _column(values.tolist())

    assert moments.n == count
    assert moments.mean == pytest.approx(values.mean(), rel=1e-14)
    assert (moments.low, moments.high) == (values.min(), values.max())
    if count > 1:
        assert moments.sd == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_undefined_values_are_counted_and_left_out() -> None:
    moments = _column([None, math.nan, math.inf, 1.0, 3.0])

    assert (moments.n, moments.undefined, moments.mean) == (2, 3, 2.0)


def test_without_values_everything_is_undefined() -> None:
    moments = _column([None])

    assert moments.n == 0
    assert all(math.isnan(x) for x in (moments.mean, moments.sd, moments.low, moments.high))


def test_one_value_has_no_sd() -> None:
    assert math.isnan(_column([1.0]).sd)


def test_quantiles_are_exact_while_all_values_are_kept() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=1001)
    kept = Kept()
    kept.extend(values)

    assert kept.quantiles(0.25, 0.5, 0.95) == pytest.approx(np.quantile(values, [0.25, 0.5, 0.95]))


def test_quantiles_of_many_values_stay_close_in_bounded_memory() -> None:
    values = np.random.default_rng(1).permutation(10 * KEPT_VALUES).astype(np.float64)
    kept = Kept()
    for part in np.array_split(values, 100):
        kept.extend(part)

    assert len(kept.values) <= KEPT_VALUES
    # The standard error of a median of 8,192 or more uniform values is under 0.6 % of the range.
    assert kept.quantiles(0.5)[0] == pytest.approx(np.median(values), abs=0.02 * values.size)


@pytest.mark.parametrize("cut", [1, 7, 100, CHUNK, 1000])
def test_matrices_give_the_same_bits_as_single_rows(cut: int) -> None:
    values = np.random.default_rng(2).normal(size=(1000, 2))
    values[::7, 1] = np.nan
    single, together = Table(quantiles=True), Table(quantiles=True)
    for a, b in values.tolist():
        single.add({"a": a, "b": b})
    for start in range(0, len(values), cut):
        together.extend(("a", "b"), values[start : start + cut])

    assert together.rows == single.rows == 1000
    assert together.columns() == single.columns()


@pytest.mark.parametrize("seed", range(5))
def test_whole_chunks_at_once_have_the_bits_of_one_value_after_the_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(rng.normal() * 10.0 ** rng.integers(-6, 6), 1.0, (5000, 2))
    one_by_one, at_once = Column(kept=Kept()), Column(kept=Kept())
    for value in rows[:, 0].tolist():
        one_by_one.add(value)
    for part in np.split(rows, [7, 900, 901, 4000]):
        at_once.extend(part.T[0])
    for column in (one_by_one, at_once):
        column.settle()
    assert at_once.moments == one_by_one.moments
    assert at_once.kept == one_by_one.kept
