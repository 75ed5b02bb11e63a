"""Values with intervals as SVG, one a line: what attention has in common with the tissue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from analyzer_service.figures.series import fixed_scale, free_scale
from analyzer_service.figures.wording import number, tick_text
from analyzer_service.html.svg import element, joined, line, text

_LEFT: Final = 142.0
_RIGHT: Final = 14.0
_TOP: Final = 24.0
_LINE: Final = 22.0
_WIDTH: Final = 430.0


@dataclass(frozen=True)
class Interval:
    """A line: a value with its limits, and another value to compare with; NaN is not drawn."""

    label: str
    value: float
    low: float
    high: float
    other: float


@dataclass(frozen=True)
class Intervals:
    """What one figure shows: its lines, the least it spans, the value of chance."""

    title: str
    lines: Sequence[Interval]
    span: tuple[float, float]
    chance: float


def intervals_figure(shown: Intervals, note: str = "") -> Markup:
    """The figure with its caption; empty where nothing is defined."""
    if not any(np.isfinite(each.value) for each in shown.lines):
        return Markup("")
    small = element("small", escape(note)) if note else Markup("")
    return element("figure", element("figcaption", escape(shown.title), small), _drawing(shown))


def _drawing(shown: Intervals) -> Markup:
    bottom = _TOP + _LINE * len(shown.lines)
    height = bottom + 22
    ends = [(each.low, each.high, each.value, each.other) for each in shown.lines]
    scale = fixed_scale(*shown.span, np.asarray(ends, dtype=np.float64).ravel())
    ticks = free_scale(np.array([scale.low, scale.high]), ticks=4).ticks

    def across(value: float) -> float:
        place = float(scale.place(np.array([value]))[0])
        return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)

    parts = [element("title", escape(_alternative(shown)))]
    for tick in ticks:
        at = across(tick)
        parts.append(line(at, _TOP - 4, at, bottom, "grid"))
        parts.append(text(tick_text(tick), at, bottom + 16, anchor="middle"))
    at = across(shown.chance)
    parts.append(line(at, _TOP - 4, at, bottom, "chance"))
    parts.append(_legend())
    for i, each in enumerate(shown.lines):
        middle = _TOP + _LINE * (i + 0.5)
        parts.append(text(each.label, _LEFT - 10, middle + 4, anchor="end", class_="name"))
        if np.isfinite(each.low) and np.isfinite(each.high):
            ends_at = across(each.low), across(each.high)
            parts.append(element("path", d=_whiskers(*ends_at, middle), class_="curve train"))
        if np.isfinite(each.other):
            parts.append(
                element("circle", cx=across(each.other), cy=middle, r=4.0, class_="hollow")
            )
        if np.isfinite(each.value):
            parts.append(
                element("circle", cx=across(each.value), cy=middle, r=4.0, class_="dot train")
            )
    return element("svg", joined(parts), viewBox=f"0 0 {_WIDTH:g} {height:g}", role="img")


def _whiskers(low: float, high: float, middle: float) -> str:
    return (
        f"M{low:.2f} {middle - 4:g}v8M{low:.2f} {middle:g}H{high:.2f}M{high:.2f} {middle - 4:g}v8"
    )


def _legend() -> Markup:
    return joined(
        [
            element("circle", cx=_LEFT + 4, cy=8.0, r=4.0, class_="dot train"),
            text("own tissue, 95 % CI", _LEFT + 13, 12, class_="name"),
            element("circle", cx=_LEFT + 140, cy=8.0, r=4.0, class_="hollow"),
            text("other tiles’ tissue", _LEFT + 149, 12, class_="name"),
        ]
    )


def _alternative(shown: Intervals) -> str:
    said = [
        f"{each.label}: {number(each.value)}, interval {number(each.low)} to {number(each.high)}, "
        f"with other tiles' tissue {number(each.other)}."
        for each in shown.lines
    ]
    return f"{shown.title}; chance is {shown.chance:g}. {' '.join(said)}"
