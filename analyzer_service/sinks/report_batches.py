"""What the report needs of a run's rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader
from analyzer_service.own.numbers import PREFIX
from analyzer_service.sinks.moments import Moments, Table
from analyzer_service.sinks.phase_rows import PhaseRows, Timing
from analyzer_service.sinks.plain import in_order

Floats = NDArray[np.float64]

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
    timings : dict of str to Timing
        Of `TIMINGS`.
    tiles, timed_tiles : int
        Tiles seen by the model; those of batches whose time is known.
    step_ms : float
        Sum of the times of those batches.
    """

    metrics: Table = field(default_factory=Table)
    timings: dict[str, Timing] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    tiles: int = 0
    timed_tiles: int = 0
    step_ms: float = 0.0

    @property
    def batches(self) -> int:
        """Number of rows."""
        return self.metrics.rows

    def trace(self, name: str) -> Trace:
        """First, last and extreme values of a metric."""
        return self.traces.setdefault(name, Trace())

    def timing(self, name: str) -> Timing:
        """Quantiles of a timing in ms; NaN when it never came."""
        return self.timings.get(name, Timing())


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
    names = [*OWN, *(f"attention_{layer}_{key}" for layer in layers for key in OF_LAYERS)]
    names += sorted(reader.names("batches", upto=release, prefix=PREFIX))
    gathered = {
        phase: PhaseRows(reader, phase, release, names=names, traced=TRACED)
        for phase in ("train", "val")
    }
    epochs = [
        {"epoch": epoch, "phase": phase, "batches": rows} | {n: means[n] for n in in_order(means)}
        for phase, found in gathered.items()
        for epoch, rows, means in found.epoch_means()
    ]
    times = [_span(found) for found in gathered.values()]
    return RunBatches(
        {phase: _phase(found, names) for phase, found in gathered.items()},
        sorted(epochs, key=lambda means: (means["epoch"], means["phase"])),
        float(np.fmin.reduce([first for first, _ in times])),
        float(np.fmax.reduce([last for _, last in times])),
    )


def _phase(found: PhaseRows, names: Sequence[str]) -> PhaseBatches:
    moments = Moments.by_name(found.totals)
    every = {
        name: moments.get(name, Moments())
        for name in names
        if name in moments or not name.startswith(PREFIX)  # the user's, where there are any
    }
    phase = PhaseBatches(
        metrics=Table.of(
            {name: replace(each, undefined=found.rows - each.n) for name, each in every.items()},
            rows=found.rows,
        ),
        timings=found.timings(),
        tiles=found.tiles,
        timed_tiles=found.timed_tiles,
        step_ms=found.step_ms,
    )
    for steps, values in found.ends_and_extremes():
        for name, column in zip(TRACED, values.T, strict=True):
            phase.trace(name).extend(column, steps)
    return phase


def _span(found: PhaseRows) -> tuple[float, float]:
    """When the first row was, and the last; NaN without rows."""
    times = Moments.by_name(found.totals).get("timestamp", Moments())
    return times.low, times.high
