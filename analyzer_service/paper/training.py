"""Figure: training against validation, over the run."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyzer_service.figures.ranges import Ranges
from analyzer_service.html.run_charts import RunHistories
from analyzer_service.paper.curves import draw_trend, fit, say_empty, shade
from analyzer_service.paper.style import COLORS, TWO_COLUMNS_MM, letter, new_figure

PHASES: Final = {"train": ("training", "-"), "val": ("validation", "--")}
_PANELS: Final = {"loss": "Loss", "ssim": "SSIM", "psnr": "PSNR (dB)"}


def has_training(histories: RunHistories) -> bool:
    """Whether any of what the figure shows is defined."""
    return any(histories.defined(phase, key) for phase in PHASES for key in _PANELS)


def training_figure(histories: RunHistories, ranges: Ranges) -> Figure:
    """Loss, SSIM and PSNR: medians, and bands of the middle 80 %."""
    figure = new_figure(TWO_COLUMNS_MM, 52)
    panels = dict(zip(_PANELS, figure.subplots(1, 3), strict=True))
    for name, (key, axes) in zip("abc", panels.items(), strict=True):
        letter(axes, name)
        axes.set_ylabel(_PANELS[key])
        axes.set_xlabel("Step")
        _curves(axes, key, histories, ranges)
    first = next(axes for axes in panels.values() if axes.lines)
    first.legend()
    return figure


def _curves(axes: Axes, key: str, histories: RunHistories, ranges: Ranges) -> None:
    drawn = []
    for phase, (words, dashes) in PHASES.items():
        if histories.defined(phase, key):
            trend = histories.trend(phase, key)
            draw_trend(axes, trend, name=words, color=COLORS[phase], dashes=dashes)
            drawn.append(trend)
    if not drawn:
        say_empty(axes)
        return
    fit(axes, drawn, ranges.ssim.scale if key == "ssim" else None)
    if key == "ssim":
        shade(axes, ranges.ssim)
