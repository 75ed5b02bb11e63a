import math

import pytest

from analyzer_service.figures.wording import number, of_total, shorten, tick_text, with_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.81234, "0.812"),
        (0.00391, "0.00391"),
        (0.99999, "1.00"),
        (999.96, "1,000"),
        (12345.6, "12,346"),
        (-0.3, "−0.300"),
        (1e9, "1.00e9"),
        (2.5e-7, "2.50e-7".replace("-", "−")),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "undefined"),
        (None, "undefined"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_what_is_undefined_has_no_unit() -> None:
    assert with_unit(math.nan, "ms") == "undefined"
    assert with_unit(12.34, "ms") == "12.3 ms"
    assert with_unit(12.34, "") == "12.3"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.5, "−0.5"), (99_999.0, "99,999"), (2e5, "200k"), (1e9, "1G"), (1e15, "1e15")],
)
def test_ticks(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_a_long_name_keeps_both_ends() -> None:
    text = shorten("a" * 50 + "b" * 50, lambda part: len(part) <= 11)
    assert text == "aaaaa…bbbbb"


def test_a_name_without_any_room_is_an_ellipsis() -> None:
    assert shorten("name", lambda _: False) == "…"


def test_progress_without_a_known_end() -> None:
    assert of_total(1200, None) == "1,200"
