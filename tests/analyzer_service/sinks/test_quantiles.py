"""Quantiles of many blocks against numpy's of all values at once."""

import doctest
import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_service.sinks import quantiles as module
from analyzer_service.sinks.quantiles import Values, quantiles

Floats = NDArray[np.float64]
SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
RNG = np.random.default_rng(0)
VALUES = {
    "normal": RNG.normal(size=5000),
    "few different ones, zeros of both signs": np.round(RNG.normal(size=5000), 1),
    "all the same": np.full(777, -3.5),
    "the largest and the smallest there are": RNG.choice([-1.7e308, 1.7e308, -5e-324, 0.0], 999),
    "one apart in the last bit": 1 + RNG.integers(0, 3, 1000) * 2.0**-52,
    "over many magnitudes": np.exp(50 * RNG.normal(size=3000)),
    "two": np.array([2.0, 1.0]),
    "one": np.array([2.0]),
}


def found(values: Floats, most: int) -> tuple[list[float], int]:
    """Quantiles, and how many passes they took beyond the first one."""
    blocks = np.array_split(values, max(1, len(values) // 97))
    kept, passes = Values(most=most), 0
    for block in blocks:
        kept.extend(block)

    def again() -> Iterator[dict[str, Floats]]:
        nonlocal passes
        passes += 1
        return ({"x": block} for block in blocks)

    return quantiles({"x": kept}, SHARES, again)["x"], passes


@pytest.mark.parametrize("most", [1, 10, 10**6])
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
@pytest.mark.filterwarnings("ignore:overflow")  # numpy's own, between the two ends of all numbers
def test_they_are_numpys_however_few_values_are_held(values: Floats, most: int) -> None:
    got, passes = found(values, most)
    assert got == list(np.quantile(values, SHARES))
    assert passes <= 7
    assert (passes == 0) == (len(values) <= most)


def test_what_is_not_finite_is_left_out() -> None:
    values = np.array([np.nan, 3.0, np.inf, 1.0, -np.inf, 2.0])
    assert found(values, 10)[0] == found(values, 1)[0] == [1.0, 1.1, 2.0, 2.9, 3.0]


def test_nothing_has_no_quantiles() -> None:
    got, _ = found(np.array([np.nan]), 10)
    assert all(math.isnan(value) for value in got)


def test_no_more_values_are_held_than_may_be() -> None:
    values = Values(most=100)
    for block in np.array_split(RNG.normal(size=1000), 20):
        values.extend(block)
        assert sum(len(each) for each in values.held) <= 100
    assert values.n == 1000


def test_examples() -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
