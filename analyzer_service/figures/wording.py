"""Numbers and names as words that fit: short, plain, and never a zero for what is undefined."""

import math
from collections.abc import Callable

from shared.messages import Sample

UNDEFINED = "undefined"


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits, or ``undefined`` for None and NaN.

    Examples
    --------
    >>> number(0.12345), number(float("nan")), number(1e9), number(1234.5)
    ('0.123', 'undefined', '1.00e9', '1,234')
    """
    if value is None or math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return _finite(value, digits).replace("-", "−")


def with_unit(value: float | None, unit: str, digits: int = 3) -> str:
    """As `number`, followed by its unit when it has one and is defined.

    Examples
    --------
    >>> with_unit(23.456, "dB"), with_unit(None, "dB")
    ('23.5 dB', 'undefined')
    """
    text = number(value, digits)
    return f"{text} {unit}" if unit and text != UNDEFINED else text


def tick_text(value: float) -> str:
    """A number on an axis, as short as it can be.

    Examples
    --------
    >>> tick_text(0.05), tick_text(1200.0), tick_text(2.5e6), tick_text(1e-7)
    ('0.05', '1,200', '2.5M', '1e−7')
    """
    for letter, unit, least in (("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e3, 1e5)):
        if least <= abs(value) < 1e12:
            return f"{value / unit:g}{letter}".replace("-", "−")
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:g}"
    if "e" not in text:
        return text.replace("-", "−")
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def shorten(text: str, fits: Callable[[str], bool]) -> str:
    """Cut out the middle of `text` until it `fits`; both ends stay, as in file paths.

    Examples
    --------
    >>> shorten("slides/2024/patient_000017.svs", lambda text: len(text) <= 15)
    'slides/…017.svs'
    """
    if fits(text):
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_without_middle(text, middle)) else (low, middle - 1)
    return _without_middle(text, low)


def pixel_size(mpp: float | None) -> str:
    """Pixel size for a caption; `mpp` is micrometers per pixel."""
    return "pixel size unknown" if mpp is None else f"{mpp:.4g} µm/px"


def place(sample: Sample) -> str:
    """Position of a tile in its source."""
    if sample.row is None or sample.col is None:
        return "position unknown"
    return f"row {sample.row:,}, col {sample.col:,}".replace("-", "−")


def of_total(value: int, total: int | None) -> str:
    """Progress in words.

    Examples
    --------
    >>> of_total(1200, 4000), of_total(7, None)
    ('1,200 of 4,000', '7')
    """
    return f"{value:,}" if total is None else f"{value:,} of {total:,}"


def _finite(value: float, digits: int) -> str:
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if value == 0:
        return "0"
    if not -4 <= exponent < 6:
        return f"{mantissa}e{exponent}"
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    tail = kept - head
    return text[:head] + "…" + (text[-tail:] if tail else "")
