"""Which charts a run's report has; its histories are read from rollups, so quickly."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.ranges import GoodRange, Ranges
from analyzer_service.figures.series import finite
from analyzer_service.html.curves import Chart, Curve, Tone, figure
from analyzer_service.html.svg import element, joined
from analyzer_service.html.trends import Trend, by_step, rolling

Floats = NDArray[np.float64]

_POINTS: Final = 2048
_PHASES: Final[dict[str, tuple[str, Tone]]] = {
    "train": ("training", "train"),
    "val": ("validation", "val"),
}
_TRAINING: Final = {"loss": "Loss", "ssim": "SSIM", "psnr": "PSNR"}
_SPEED: Final = {
    "training_time_ms": ("Training step", "ms"),
    "inference_time_ms": ("Forward pass", "ms"),
    "data_time_ms": ("Waiting for data", "ms"),
    "memory_mb": ("Memory", "MiB"),
}
"""Charts of the performance section, with their units."""
_MORE: Final = (
    GoodRange("attention_position_bias", "Position bias", None, None, scale=(-0.5, 1.0)),
    GoodRange("temporal_consistency", "Temporal consistency", None, None, scale=(0.0, 1.0)),
)
"""Charts of a layer that have no good range."""


@dataclass
class RunHistories:
    """Columns of both phases up to a row, in at most 2,048 points each.

    `rows` is how many rows a phase has; a point is the mean of several where there are more.
    """

    reader: RunReader
    release: int
    rows: dict[str, int]
    layers: Sequence[str]
    _read: dict[str, dict[str, Floats]] = field(default_factory=dict)

    @cached_property
    def _names(self) -> list[str]:
        gates = [f"attention_{layer}_" for layer in self.layers]
        keys = (
            *("attention_entropy", "attention_concentration_10", "attention_sparsity"),
            *("attention_center_distance", "num_attention_peaks", "attention_contrast"),
            *(good.key for good in _MORE),
        )
        auc = [f"nuclear_attention_auc_{layer}" for layer in self.layers]
        return [*_TRAINING, *_SPEED, *auc, *(start + key for start in gates for key in keys)]

    def merged(self, phase: str) -> int:
        """How many rows a point is the mean of."""
        points = len(self._columns(phase)["global_step"])
        per = 1
        while points and -(-self.rows[phase] // per) > _POINTS:
            per *= 2
        return per

    def trend(self, phase: str, name: str) -> Trend:
        """The trend of a metric."""
        columns = self._columns(phase)
        make = by_step if phase == "val" else rolling
        return make(columns["global_step"], finite(columns[name]))

    def defined(self, phase: str, name: str) -> bool:
        """Tell whether the metric has any value that can be drawn."""
        return bool(np.isfinite(finite(self._columns(phase)[name])).any())

    def _columns(self, phase: str) -> dict[str, Floats]:
        if phase not in self._read:
            self._read[phase] = self.reader.history(
                phase=phase, upto=self.release, names=self._names, points=_POINTS
            )
        return self._read[phase]


def read_histories(reader: RunReader, release: int) -> RunHistories:
    """Histories of a run up to row `release`."""
    layers = [layer.name for layer in reader.started().layers if layer.kind == "attention"]
    rows = {phase: reader.count(phase, upto=release) for phase in _PHASES}
    return RunHistories(reader, release, rows=rows, layers=layers)


def how_to_read(histories: RunHistories) -> Markup:
    """What lines and bands are, once for all charts."""
    merged = histories.merged("train")
    window = histories.trend("train", "loss").window
    what = "batches" if merged == 1 else f"means over {merged:,} batches"
    return element(
        "p",
        Markup(
            "Lines are medians and bands the middle 80 %: of {} successive {} in training, of all "
            "batches of a validation. Shaded in green is the good range."
        ).format(f"{window:,}", what),
        class_="how",
    )


def training_charts(histories: RunHistories, ranges: Ranges) -> Markup:
    """Loss, SSIM and PSNR, training against validation."""
    charts = [
        Chart(
            title,
            _curves(histories, name),
            good=ranges.ssim if name == "ssim" else None,
            scale=ranges.ssim.scale if name == "ssim" else None,
            unit="dB" if name == "psnr" else "",
        )
        for name, title in _TRAINING.items()
    ]
    return _grid(charts)


def layer_charts(histories: RunHistories, layer: str, ranges: Ranges) -> Markup:
    """How attention of a layer evolved, metric by metric, with the good ranges."""
    charts = [
        Chart(
            each.label,
            _curves(histories, f"attention_{layer}_{each.key}"),
            good=None if each in _MORE else each,
            scale=each.scale,
            unit=each.unit,
            size=(320.0, 190.0),
        )
        for each in (*ranges.attention, *_MORE)
    ]
    return _grid(charts, look="small")


def nuclei_chart(histories: RunHistories, layer: str) -> Markup:
    """How well attention found nuclei, over the run."""
    name = f"nuclear_attention_auc_{layer}"
    chart = Chart(
        "Attention on nuclei over the run, AUC",
        _curves(histories, name),
        chance=0.5,
        scale=(0.0, 1.0),
    )
    return figure(chart, "Chance is 0.5, dashed.")


def speed_charts(histories: RunHistories, ranges: Ranges) -> Markup:
    """Times of a batch, and memory."""
    charts = []
    for name, (title, unit) in _SPEED.items():
        good = ranges.inference_time if name == "inference_time_ms" else None
        charts.append(Chart(title, _curves(histories, name), good=good, unit=unit))
    return _grid(charts, look="pairs")


def _curves(histories: RunHistories, name: str) -> list[Curve]:
    return [
        Curve(title, histories.trend(phase, name), tone)
        for phase, (title, tone) in _PHASES.items()
        if histories.rows[phase]
    ]


def _grid(charts: Sequence[Chart], *, look: str = "") -> Markup:
    figures = [drawn for chart in charts if (drawn := figure(chart))]
    if not figures:
        return Markup("")
    return element("div", joined(figures), class_=f"charts {look}".strip())
