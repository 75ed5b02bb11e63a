"""What a dashboard shows: plain values, gathered before anything is drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.ranges import GUIDE, Ranges
from shared.messages import BatchFrame, Phase, RunStarted, Sample

Columns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class TileQuality:
    """How well the shown tile was reconstructed; NaN is undefined."""

    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class DashboardData:
    """Everything that one dashboard shows.

    Attributes
    ----------
    run : RunStarted
        The run's fixed facts.
    phase : str
        ``train`` or ``val``.
    row : mapping
        The released batch, as `docs/architecture.md` describes a row.
    history : mapping of phase to columns
        Rows of each phase up to this batch; every phase has a column ``global_step``.
    frame : BatchFrame or None
        Images and maps of the batch; None when they did not arrive.
    tile : TileQuality or None
        Quality of the frame's first tile.
    nuclei : ndarray of shape (H, W), int32, or None
        Where the first tile's nuclei lie: 0 is background, every other number a nucleus. None
        when they are not to be outlined.
    alerts : tuple of str
        Alerts that go on as of this batch, in a few words each, the latest first.
    ranges : Ranges
        What the metrics are judged by.
    """

    run: RunStarted
    phase: Phase
    row: Mapping[str, Any]
    history: Mapping[Phase, Columns] = field(default_factory=dict)
    frame: BatchFrame | None = None
    tile: TileQuality | None = None
    nuclei: NDArray[np.int32] | None = None
    alerts: tuple[str, ...] = ()
    ranges: Ranges = GUIDE

    def value(self, key: str) -> float:
        """A number of the row; NaN when it is absent or undefined."""
        value = self.row.get(key)
        return float(value) if isinstance(value, int | float) else math.nan

    def count(self, key: str) -> int:
        """A whole number of the row; 0 when it is absent."""
        value = self.value(key)
        return int(value) if math.isfinite(value) else 0

    @property
    def sample(self) -> Sample | None:
        """The shown tile's origin; None when there is nothing to show."""
        return self.frame.samples[0] if self.frame and self.frame.input.size else None

    @property
    def mpp(self) -> float | None:
        """Micrometers per pixel of the shown tile, if known."""
        sample = self.sample
        return (sample.mpp if sample else None) or self.run.mpp

    @property
    def layers(self) -> tuple[str, ...]:
        """The frame's attention layers, the primary one first."""
        if self.frame is None:
            return ()
        order = [self.run.primary_layer, *(layer.name for layer in self.run.layers)]
        ranks = {name: rank for rank, name in reversed(list(enumerate(order)))}
        return tuple(sorted(self.frame.attention, key=lambda name: (ranks.get(name, 10**6), name)))

    @property
    def primary(self) -> str | None:
        """The layer that names without a layer stand for."""
        return self.run.primary_layer or next(iter(self.layers), None)
