"""What the report needs of a run's rows, gathered in one pass."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.blocks import Block
from analyzer_service.commit.reader import RunReader
from analyzer_service.own.numbers import PREFIX
from analyzer_service.sinks.evolution import Evolution
from analyzer_service.sinks.moments import Moments, Table

Floats = NDArray[np.float64]

TIMINGS: Final = ("training_time_ms", "inference_time_ms", "data_time_ms")
TRACED: Final = ("loss", "ssim", "psnr", "memory_mb")
OWN: Final = ("loss", "ssim")
OF_LAYERS: Final = ("attention_position_bias", "undefined", "flat", "low_contrast")
"""Metrics whose statistics over batches the report has; all others are told over tiles."""


@dataclass
class Trace:
    """First, last, lowest and highest defined value of a metric, and the steps of the extremes."""

    first: float = math.nan
    last: float = math.nan
    low: float = math.nan
    low_step: int = 0
    high: float = math.nan
    high_step: int = 0

    def extend(self, values: Floats, steps: Floats) -> None:
        """Take values (N,) at `steps` (N,) in order; what is not finite is left out."""
        known = np.isfinite(values)
        values, steps = values[known], steps[known]
        if not values.size:
            return
        if math.isnan(self.first):
            self.first = float(values[0])
        self.last = float(values[-1])
        low, high = int(values.argmin()), int(values.argmax())
        if not values[low] >= self.low:
            self.low, self.low_step = float(values[low]), int(steps[low])
        if not values[high] <= self.high:
            self.high, self.high_step = float(values[high]), int(steps[high])


@dataclass
class PhaseBatches:
    """One phase of a run: statistics of its rows.

    Attributes
    ----------
    tiles, timed_tiles : int
        Tiles seen by the model; those of batches whose time is known.
    step_ms : float
        Sum of the times of those batches.
    """

    metrics: Table = field(default_factory=Table)
    timings: Table = field(default_factory=lambda: Table(quantiles=True))
    traces: dict[str, Trace] = field(default_factory=dict)
    tiles: int = 0
    timed_tiles: int = 0
    step_ms: float = 0.0

    @property
    def batches(self) -> int:
        """Number of rows."""
        return self.metrics.rows

    def extend(self, block: Block, names: Sequence[str]) -> None:
        """Take rows; `names` are the metrics whose statistics are kept."""
        self.metrics.extend(names, block.columns(names))
        self.timings.extend(TIMINGS, block.columns(TIMINGS))
        steps = block.column("phase_step")
        for name in TRACED:
            self.trace(name).extend(block.column(name), steps)
        self._add_tiles(block.column("batch_size"), block.column("training_time_ms"))

    def trace(self, name: str) -> Trace:
        """First, last and extreme values of a metric."""
        return self.traces.setdefault(name, Trace())

    def quantiles(self, name: str, *shares: float) -> list[float]:
        """Quantiles of a timing in ms; NaN when it never came."""
        column = self.timings.columns().get(name)
        kept = column.kept if column else None
        return kept.quantiles(*shares) if kept else [math.nan] * len(shares)

    def _add_tiles(self, sizes: Floats, spent: Floats) -> None:
        known = np.isfinite(sizes)
        timed = known & np.isfinite(spent)
        self.tiles += int(sizes[known].sum())
        self.timed_tiles += int(sizes[timed].sum())
        self.step_ms += float(spent[timed].sum())


@dataclass
class RunBatches:
    """All rows of a run: a `PhaseBatches` each phase, the means of each epoch, the time span."""

    phases: dict[str, PhaseBatches]
    epochs: list[dict[str, Any]]
    first_at: float
    last_at: float
    _places: dict[tuple[str, int], int] = field(default_factory=dict)

    def of_epoch(self, phase: str, epoch: int) -> dict[str, Any]:
        """Means of an epoch; empty when it has no rows."""
        if len(self._places) != len(self.epochs):
            self._places = {(m["phase"], m["epoch"]): i for i, m in enumerate(self.epochs)}
        place = self._places.get((phase, epoch))
        return {} if place is None else self.epochs[place]

    def epoch_numbers(self, phase: str) -> list[int]:
        """Epochs with rows of `phase`, ascending."""
        return [means["epoch"] for means in self.epochs if means["phase"] == phase]

    def moments(self, phase: str, name: str) -> Moments:
        """Statistics of a metric over the batches of a phase."""
        return self.phases[phase].metrics.moments(name)


def read_batches(reader: RunReader, release: int, layers: Sequence[str]) -> RunBatches:
    """Gather the rows up to `release`: the batch's own metrics, those of `layers`, the user's."""
    phases = {"train": PhaseBatches(), "val": PhaseBatches()}
    evolution = Evolution()
    first_at, last_at = math.nan, math.nan
    names = [*OWN, *(f"attention_{layer}_{key}" for layer in layers for key in OF_LAYERS)]
    names += sorted(reader.names("batches", upto=release, prefix=PREFIX))
    for block in reader.blocks(upto=release):
        phases[block.phase].extend(block, names)
        epochs, values = block.column("epoch"), block.columns(names)
        for epoch in np.unique(epochs):
            evolution.extend(block.phase, int(epoch), names, values[epochs == epoch])
        times = block.column("timestamp")
        first_at, last_at = np.fmin(first_at, times.min()), np.fmax(last_at, times.max())
    return RunBatches(phases, evolution.means(), float(first_at), float(last_at))
