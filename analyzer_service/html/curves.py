"""Curves with bands as SVG: one metric, training and validation, a good range behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from analyzer_service.figures.ranges import GoodRange
from analyzer_service.figures.series import Scale, fixed_scale, free_scale, step_scale
from analyzer_service.figures.wording import number, tick_text
from analyzer_service.html.svg import element, joined, line, path, text
from analyzer_service.html.trends import Trend

Floats = NDArray[np.float64]
Tone = Literal["train", "val", "third"]

_LEFT: Final = 46.0
_RIGHT: Final = 12.0
_TOP: Final = 24.0
_BOTTOM: Final = 34.0
_MOST_DOTS: Final = 40
_LETTER: Final = 6.2


@dataclass(frozen=True)
class Curve:
    """A trend with its name and its color."""

    name: str
    trend: Trend
    tone: Tone


@dataclass(frozen=True)
class Chart:
    """What one figure shows.

    Attributes
    ----------
    good : GoodRange or None
        What is shaded.
    chance : float or None
        A value to compare with, drawn as a dashed line.
    scale : tuple of float or None
        What the axis shows at least; None fits it to the curves.
    """

    title: str
    curves: Sequence[Curve]
    good: GoodRange | None = None
    chance: float | None = None
    scale: tuple[float, float] | None = None
    unit: str = ""
    x_name: str = "step"
    size: tuple[float, float] = (400.0, 220.0)


def figure(chart: Chart, note: str = "") -> Markup:
    """The chart with its caption; empty where no curve has a value."""
    curves = [curve for curve in chart.curves if np.isfinite(curve.trend.middle).any()]
    if not curves:
        return Markup("")
    said = " ".join(part for part in (note, _range_words(chart)) if part)
    small = element("small", escape(said)) if said else Markup("")
    unit = f", {chart.unit}" if chart.unit else ""
    caption = element("figcaption", escape(chart.title + unit), small)
    return element("figure", caption, _drawing(chart, curves))


def alternative(chart: Chart, curves: Sequence[Curve]) -> str:
    """The curves in words, for who cannot see them."""
    unit = f" {chart.unit}" if chart.unit else ""
    parts = []
    for curve in curves:
        known = np.isfinite(curve.trend.middle)
        values, steps = curve.trend.middle[known], curve.trend.steps[known]
        parts.append(
            f"{curve.name}: median from {number(values[0])} to {number(values[-1])}{unit} between "
            f"{chart.x_name} {steps[0]:,.0f} and {steps[-1]:,.0f}, lowest "
            f"{number(float(values.min()))}, highest {number(float(values.max()))}."
        )
    return " ".join([f"{chart.title}.", *parts, _range_words(chart)]).strip()


def _range_words(chart: Chart) -> str:
    return f"Good range {chart.good.text()}." if chart.good else ""


def _drawing(chart: Chart, curves: Sequence[Curve]) -> Markup:
    width, height = chart.size
    x = step_scale(np.concatenate([curve.trend.steps for curve in curves]))
    y = _y_scale(chart, curves)
    frame = _Frame(x, y, width, height)
    return element(
        "svg",
        element("title", escape(alternative(chart, curves))),
        _good(frame, chart),
        _axes(frame, chart.x_name),
        _chance(frame, chart),
        joined(_band(frame, curve) for curve in curves),
        joined(_line(frame, curve) for curve in curves),
        _legend(curves),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
    )


def _y_scale(chart: Chart, curves: Sequence[Curve]) -> Scale:
    parts = [part for c in curves for part in (c.trend.low, c.trend.middle, c.trend.high)]
    values = np.concatenate(parts)
    if chart.scale is None:
        return free_scale(values, ticks=4)
    fixed = fixed_scale(*chart.scale, values)
    ticks = free_scale(np.array([fixed.low, fixed.high]), ticks=4).ticks
    return Scale(fixed.low, fixed.high, ticks)


@dataclass(frozen=True)
class _Frame:
    """Where values lie in the drawing."""

    x: Scale
    y: Scale
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.height - _BOTTOM

    @property
    def right(self) -> float:
        return self.width - _RIGHT

    def across(self, values: Floats) -> Floats:
        return _LEFT + self.x.place(values) * (self.right - _LEFT)

    def up(self, values: Floats) -> Floats:
        return self.bottom - self.y.place(values) * (self.bottom - _TOP)

    def height_of(self, value: float) -> float:
        return float(self.up(np.array([value]))[0])


def _axes(frame: _Frame, x_name: str) -> Markup:
    parts = []
    for tick in frame.y.ticks:
        at = frame.height_of(tick)
        if _TOP - 0.5 <= at <= frame.bottom + 0.5:
            parts.append(line(_LEFT, at, frame.right, at, "grid"))
            parts.append(text(tick_text(tick), _LEFT - 6, at + 4, anchor="end"))
    for tick, at in zip(frame.x.ticks, frame.across(np.array(frame.x.ticks)), strict=True):
        parts.append(line(float(at), frame.bottom, float(at), frame.bottom + 4, "axis"))
        anchor = "middle" if at < frame.right - 14 else "end"
        parts.append(text(tick_text(tick), float(at), frame.bottom + 16, anchor=anchor))
    parts.append(line(_LEFT, frame.bottom, frame.right, frame.bottom, "axis"))
    middle = (_LEFT + frame.right) / 2
    parts.append(text(x_name, middle, frame.height - 4, anchor="middle"))
    return joined(parts)


def _good(frame: _Frame, chart: Chart) -> Markup:
    if chart.good is None:
        return Markup("")
    low, high = chart.good.low, chart.good.high
    limits = [frame.bottom if low is None else frame.height_of(low)]
    limits.append(_TOP if high is None else frame.height_of(high))
    below, above = (min(max(at, _TOP), frame.bottom) for at in limits)
    edges = [
        line(_LEFT, at, frame.right, at, "good-line")
        for limit, at in ((low, below), (high, above))
        if limit is not None and _TOP < at < frame.bottom
    ]
    size = {"x": _LEFT, "y": above, "width": frame.right - _LEFT, "height": below - above}
    return joined([element("rect", class_="good", **size), *edges])


def _chance(frame: _Frame, chart: Chart) -> Markup:
    if chart.chance is None:
        return Markup("")
    at = frame.height_of(chart.chance)
    return line(_LEFT, at, frame.right, at, "chance") if _TOP <= at <= frame.bottom else Markup("")


def _band(frame: _Frame, curve: Curve) -> Markup:
    """The band, in one piece for each stretch without gaps."""
    trend = curve.trend
    xs, low, high = frame.across(trend.steps), frame.up(trend.low), frame.up(trend.high)
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    parts = []
    for start, stop in edges.reshape(-1, 2):
        there = list(zip(xs[start:stop], high[start:stop], strict=True))
        back = list(zip(xs[start:stop], low[start:stop], strict=True))[::-1]
        parts.append(element("path", d=f"{path([*there, *back])}Z", class_=f"band {curve.tone}"))
    return joined(parts)


def _line(frame: _Frame, curve: Curve) -> Markup:
    xs, ys = frame.across(curve.trend.steps), frame.up(curve.trend.middle)
    points = list(zip(xs.tolist(), ys.tolist(), strict=True))
    look = {"stroke_dasharray": "6 3"} if curve.tone == "val" else {}
    drawn = [element("path", d=path(points), class_=f"curve {curve.tone}", **look)]
    if len(points) <= _MOST_DOTS:
        drawn += [
            element("circle", cx=x, cy=y, r=2.4, class_=f"dot {curve.tone}")
            for x, y in points
            if np.isfinite(y)
        ]
    return joined(drawn)


def _legend(curves: Sequence[Curve]) -> Markup:
    at, parts = _LEFT, []
    for curve in curves:
        look = {"stroke_dasharray": "6 3"} if curve.tone == "val" else {}
        parts.append(element("path", d=f"M{at:g} 10h18", class_=f"curve {curve.tone}", **look))
        parts.append(text(curve.name, at + 23, 14, class_="name"))
        at += 23 + _LETTER * len(curve.name) + 16
    return joined(parts)
