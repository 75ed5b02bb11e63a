"""Trends with their bands on matplotlib's axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analyzer_service.figures.ranges import GoodRange
from analyzer_service.figures.series import fixed_scale, free_scale
from analyzer_service.figures.wording import tick_text
from analyzer_service.html.trends import Trend
from analyzer_service.paper.style import COLORS


def draw_trend(axes: Axes, trend: Trend, *, name: str, color: str, dashes: str) -> None:
    """A line with its band; a dot where a trend has few places."""
    axes.fill_between(trend.steps, trend.low, trend.high, color=color, alpha=0.2, lw=0)
    few = len(trend.steps) <= 40
    marker = {"marker": "o", "markersize": 2.0} if few else {}
    axes.plot(trend.steps, trend.middle, dashes, color=color, label=name, **marker)  # type: ignore[arg-type]


def say_empty(axes: Axes) -> None:
    """Words in the place of curves, where no value is defined."""
    axes.text(0.5, 0.5, "no values", ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def shade(axes: Axes, good: GoodRange) -> None:
    """The good range behind the curves, over the axis as it is."""
    low, high = axes.get_ylim()
    axes.axhspan(
        low if good.low is None else max(good.low, low),
        high if good.high is None else min(good.high, high),
        color=COLORS["good"],
        alpha=0.12,
        lw=0,
        zorder=0,
    )
    axes.set_ylim(low, high)


def fit(axes: Axes, trends: Sequence[Trend], scale: tuple[float, float] | None = None) -> None:
    """Limits of the axes: the values, `scale` at least; logarithmic as on the report's page."""
    values = np.concatenate([part for t in trends for part in (t.low, t.middle, t.high)])
    found = free_scale(values, ticks=4) if scale is None else fixed_scale(*scale, values)
    if found.logarithmic:
        axes.set_yscale("log")
        axes.set_yticks(found.ticks)
        axes.minorticks_off()
    axes.set_ylim(found.low, found.high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.set_xlim(left=0)
