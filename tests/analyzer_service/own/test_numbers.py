"""What an own analysis may return."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analyzer_service.own.numbers import LONGEST_NAME, MOST_NAMES, own_numbers
from shared.errors import AnalysisError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1.0),
        (3, 3.0),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.bool_(False), 0.0),
        (np.array(7), 7.0),
        (torch.tensor(1.5), 1.5),
        (math.inf, math.inf),
    ],
)
def test_real_numbers_of_any_kind_are_taken(value: Any, expected: float) -> None:
    assert own_numbers({"x": value}) == {"own_x": expected}


def test_a_name_is_the_text_that_was_checked() -> None:
    class Named(str):
        def __format__(self, _: str) -> str:
            return "two\nlines"

    assert own_numbers({Named("share"): 1.0}) == {"own_share": 1.0}


@pytest.mark.parametrize("value", [math.nan, np.ma.masked_all(3).mean()])
def test_undefined_is_nan(value: Any) -> None:
    assert math.isnan(own_numbers({"x": value})["own_x"])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "got None .is a return missing"),
        (0.5, "got a value of type float"),
        ([("x", 1)], "got a value of type list"),
        ({1: 2.0}, "expected names as text"),
        ({"": 1.0}, "must be letters"),
        ({"a b": 1.0}, "must be letters"),
        ({"a\n": 1.0}, "must be letters"),
        ({"x" * (LONGEST_NAME + 1): 1.0}, r"129 characters"),
        ({str(i): 1.0 for i in range(MOST_NAMES + 1)}, "at most 256 numbers"),
        ({"x": "1.0"}, "'x': expected a real number, got a value of type str"),
        ({"x": None}, "'x': expected a real number, got None"),
        ({"x": 1j}, "got a value of type complex"),
        ({"x": np.complex64(1)}, "got a value of type complex"),
        ({"x": np.zeros((1000, 1000))}, r"ndarray of shape \(1000, 1000\)"),
        ({"x": np.zeros(1)}, r"ndarray of shape \(1,\)"),
        ({"x": Decimal("1")}, "got a value of type Decimal"),
        ({"x": {"y": 1.0}}, "got a value of type dict"),
        ({"x": 10**400}, "too large"),
    ],
)
def test_nonsense_is_named(result: Any, message: str) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        own_numbers(result)
    assert len(str(caught.value)) < 300


def test_names_of_every_length_up_to_the_longest() -> None:
    longest = "x" * LONGEST_NAME
    assert own_numbers({longest: 1, "a/b.c-d_1": 2}) == {
        f"own_{longest}": 1.0,
        "own_a/b.c-d_1": 2.0,
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_comes_is_numbers_or_an_analysis_error(result: Any) -> None:
    try:
        found = own_numbers(result)
    except AnalysisError:
        return
    assert all(type(value) is float and name.startswith("own_") for name, value in found.items())
