"""Figure: training against validation, over the run."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure

from analyzer_service.figures.ranges import Ranges
from analyzer_service.html.run_charts import RunHistories
from analyzer_service.paper.curves import draw_trend, fit, shade
from analyzer_service.paper.style import COLORS, TWO_COLUMNS_MM, letter, new_figure

PHASES: Final = {"train": ("training", "-"), "val": ("validation", "--")}
_PANELS: Final = {"loss": "Loss", "ssim": "SSIM", "psnr": "PSNR (dB)"}


def training_figure(histories: RunHistories, ranges: Ranges) -> Figure:
    """Loss, SSIM and PSNR: medians, and bands of the middle 80 %."""
    figure = new_figure(TWO_COLUMNS_MM, 52)
    for name, axes, (key, title) in zip("abc", figure.subplots(1, 3), _PANELS.items(), strict=True):
        drawn = []
        for phase, (words, dashes) in PHASES.items():
            trend = histories.trend(phase, key)
            if np.isfinite(trend.middle).any():
                draw_trend(axes, trend, name=words, color=COLORS[phase], dashes=dashes)
                drawn.append(trend)
        letter(axes, name)
        axes.set_ylabel(title)
        axes.set_xlabel("Step")
        if drawn:
            fit(axes, drawn, ranges.ssim.scale if key == "ssim" else None)
        if key == "ssim":
            shade(axes, ranges.ssim)
        if drawn and name == "a":
            axes.legend()
    return figure
