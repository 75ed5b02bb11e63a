"""What counts as a number."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from trainer.capture.outputs import as_number, as_scalar


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.5, 0.5),
        (3, 3.0),
        (True, 1.0),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.bool_(True), 1.0),
        (np.array(2.0), 2.0),
        (np.array([[2]]), 2.0),
        (torch.tensor([[0.5]], dtype=torch.bfloat16), 0.5),
        (torch.tensor(0.5, requires_grad=True), 0.5),
    ],
)
def test_a_number_in_whatever_form(value: Any, number: float) -> None:
    assert as_number(value) == number
    assert type(as_number(value)) is float
    assert as_number(as_scalar(value)) == number


@pytest.mark.parametrize(
    "value",
    [
        *(None, "0.5", [0.5], {}, 1j, 10**400, np.array([1.0, 2.0]), np.array("x"), np.str_("1")),
        *(torch.ones(2), torch.tensor(1j), torch.empty((), device="meta")),
    ],
)
def test_what_is_no_number_is_none(value: Any) -> None:
    assert as_number(value) is None
