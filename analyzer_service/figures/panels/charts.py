"""A small chart: lines over steps, grid lines, a shaded good range, and its labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from analyzer_service.figures.lettering import FAINT, SMALL
from analyzer_service.figures.ranges import GoodRange
from analyzer_service.figures.series import Scale, Series, finite, mean_by_step, smoothed
from analyzer_service.figures.sheet import Box, Sheet
from shared.messages import Phase

PHASE_COLORS: Mapping[Phase, str] = {"train": "#2b5f93", "val": "#d1731c"}

_GOOD_BAND = "#deefe4"
_SMOOTH_FROM = 60
_DOTS_UP_TO = 40


@dataclass(frozen=True)
class Chart:
    """Where a chart lies and how its axes run."""

    box: Box
    steps: Scale
    values: Scale
    name: str

    def open(self, sheet: Sheet) -> Axes:
        """Axes of this chart, from 0 to 1 both ways, with a base line."""
        axes = sheet.axes(self.box, self.name)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.0)
        axes.axhline(0.0, color=FAINT, linewidth=1.4, zorder=1)
        return axes


def shade(axes: Axes, chart: Chart, good: GoodRange) -> None:
    """Shade the good range."""
    low = chart.values.low if good.low is None else good.low
    high = chart.values.high if good.high is None else good.high
    bottom, top = np.clip(chart.values.place(np.array([low, high])), 0.0, 1.0)
    axes.axhspan(float(bottom), float(top), color=_GOOD_BAND, linewidth=0, zorder=0)


def draw_series(axes: Axes, chart: Chart, phase: Phase, columns: tuple[Series, Series]) -> None:
    """Draw one phase: training as a line, smoothed when long; validation as its mean per step."""
    steps, values = columns[0], finite(columns[1])
    if phase == "val":
        steps, values = mean_by_step(steps, values)
    if not np.isfinite(values).any():
        return
    color = PHASE_COLORS[phase]
    x = chart.steps.place(steps)
    long = phase == "train" and values.size >= _SMOOTH_FROM
    if long:
        axes.plot(x, chart.values.place(values), color=color, alpha=0.28, linewidth=0.7)
    dots = "o" if np.isfinite(values).sum() <= _DOTS_UP_TO else ""
    axes.plot(
        x,
        chart.values.place(smoothed(values) if long else values),
        color=color,
        linewidth=1.5,
        marker=dots,
        markersize=2.8,
        clip_on=False,
        zorder=3,
    )


def label_values(sheet: Sheet, axes: Axes, chart: Chart, ticks: tuple[float, ...]) -> None:
    """Write `ticks` left of the chart, with a faint grid line each."""
    for tick, place in zip(ticks, chart.values.place(np.array(ticks, dtype=float)), strict=True):
        axes.axhline(float(place), color=FAINT, linewidth=0.6, zorder=1)
        y = chart.box.bottom - float(place) * chart.box.height
        sheet.text((chart.box.x - 6, y + 4), _tick_text(tick), SMALL.right())


def label_steps(sheet: Sheet, chart: Chart) -> None:
    """Write the steps below the chart."""
    for tick, place in zip(
        chart.steps.ticks, chart.steps.place(np.array(chart.steps.ticks)), strict=True
    ):
        x = chart.box.x + float(place) * chart.box.width
        sheet.text((x, chart.box.bottom + 15), f"{tick:,.0f}", SMALL.center())


def _tick_text(value: float) -> str:
    text = f"{value:g}"
    if "e" not in text:
        return text.replace("-", "−")
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")
