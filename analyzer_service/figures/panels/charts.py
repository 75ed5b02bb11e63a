"""A small chart: lines over steps, grid lines, a shaded good range, and its labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.canvas import Stroke
from analyzer_service.figures.lettering import FAINT, SMALL
from analyzer_service.figures.ranges import GoodRange
from analyzer_service.figures.series import Scale, Series, finite, mean_by_step, smoothed
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import tick_text
from shared.messages import Phase

PHASE_COLORS: Mapping[Phase, str] = {"train": "#2b5f93", "val": "#d1731c"}

_GOOD_BAND = "#deefe4"
_SMOOTH_FROM = 60
_DOTS_UP_TO = 40
_LINE_SPACING = 12.0


@dataclass(frozen=True)
class Chart:
    """Where a chart lies and how its axes run."""

    box: Box
    steps: Scale
    values: Scale

    def y(self, values: Series) -> Series:
        """Pixels from the top of the sheet."""
        return np.asarray(self.box.bottom - self.values.place(values) * self.box.height)

    def points(self, steps: Series, values: Series) -> NDArray[np.float64]:
        """Pixels (N, 2) of a line."""
        x = self.box.x + self.steps.place(steps) * self.box.width
        return np.column_stack([x, self.y(values)])


def shade(sheet: Sheet, chart: Chart, good: GoodRange) -> None:
    """Shade the good range."""
    low = chart.values.low if good.low is None else good.low
    high = chart.values.high if good.high is None else good.high
    bottom, top = np.clip(chart.y(np.array([low, high])), chart.box.y, chart.box.bottom)
    band = Box(chart.box.x, float(top), chart.box.width, float(bottom - top))
    sheet.fill(band, _GOOD_BAND, under=True)


def draw_series(sheet: Sheet, chart: Chart, phase: Phase, columns: tuple[Series, Series]) -> None:
    """Draw one phase: training as a line, smoothed when long; validation as its mean per step."""
    steps, values = columns[0], finite(columns[1])
    if phase == "val":
        steps, values = mean_by_step(steps, values)
    known = int(np.isfinite(values).sum())
    if known == 0:
        return
    color = PHASE_COLORS[phase]
    if phase == "train" and known >= _SMOOTH_FROM:
        sheet.line(chart.points(steps, values), Stroke(color, 1.0, alpha=0.28))
        values = smoothed(values)
    sheet.line(chart.points(steps, values), Stroke(color, 2.0, dots=known <= _DOTS_UP_TO))


def label_values(sheet: Sheet, chart: Chart, ticks: tuple[float, ...]) -> None:
    """A grid line and a label left of the chart for each tick; what would touch is left out.

    Earlier ticks win. The chart's foot always has its line.
    """
    _grid_line(sheet, chart, chart.box.bottom)
    written: list[float] = []
    for tick, y in zip(ticks, chart.y(np.array(ticks, dtype=float)).tolist(), strict=True):
        if any(abs(y - other) < _LINE_SPACING for other in written):
            continue
        written.append(y)
        _grid_line(sheet, chart, y)
        sheet.text((chart.box.x - 6, y + 4), tick_text(tick), SMALL.right())


def label_steps(sheet: Sheet, chart: Chart) -> None:
    """Write the steps below the chart."""
    places = chart.steps.place(np.array(chart.steps.ticks)).tolist()
    for tick, place in zip(chart.steps.ticks, places, strict=True):
        lettering = SMALL.right() if place > 0.96 else SMALL.center()
        x = chart.box.x + place * chart.box.width
        sheet.text((x, chart.box.bottom + 15), tick_text(tick), lettering)


def _grid_line(sheet: Sheet, chart: Chart, y: float) -> None:
    sheet.fill(Box(chart.box.x, round(y) - 0.5, chart.box.width, 1), FAINT, under=True)
