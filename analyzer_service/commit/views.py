"""What a `RunReader` hands out: rows, samples, dashboards, epochs, the run's state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analyzer_service.alerts.titles import title
from shared.messages import Phase, RecordTotals, Sample, Totals

Status = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Row:
    """A released batch: its number and its values as docs/architecture.md lists them.

    `of_run` is False for a row of one rank of several, of which the run's own is a mean.
    """

    release: int
    values: dict[str, Any]
    of_run: bool = True


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One analyzed tile and its batch; undefined values are NaN."""

    sample: Sample
    values: dict[str, float]
    phase: Phase
    epoch: int
    global_step: int
    phase_step: int
    rank: int


@dataclass(frozen=True, slots=True)
class ProbeTile:
    """A validation tile that attention is tested on.

    `maps` has ``attention/{layer}`` and, for each grid of a layer, ``{h}x{w}/{feature}``.
    """

    sample: Sample
    maps: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class DashboardRecord:
    """A drawn dashboard; `id` grows in the order in which they were finished."""

    id: int
    phase: Phase
    number: int
    release: int
    file: str


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """An epoch that ended after row `release`."""

    epoch: int
    global_step: int
    release: int
    ended_at_ns: int


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An episode of an alert, from firing at row `release` to `cleared_release`, if it has.

    Attributes
    ----------
    moment : int
        Grows from one episode to the next.
    step, at
        Global step and time (seconds since the Unix epoch, of the trainer) at which it fired.
    since_step, since_at
        Where what it says began.
    last_step, last_at
        The last row that was bad.
    peak : float
        The worst value so far; NaN where there is none.
    """

    name: str
    layer: str | None
    phase: Phase
    rank: int
    moment: int
    release: int
    step: int
    at: float
    since_step: int
    since_at: float
    last_step: int
    last_at: float
    peak: float
    sentence: str
    cleared_release: int | None = None
    cleared_step: int | None = None
    cleared_at: float | None = None

    @property
    def title(self) -> str:
        """The alert in a few words, with its layer, and its rank unless it is the first."""
        rank = f" of rank {self.rank}" if self.rank else ""
        return f"{title(self.name, self.layer)}{rank}"

    def active(self, release: int) -> bool:
        """Tell whether it goes on as of row `release`."""
        cleared = self.cleared_release
        return self.release <= release and (cleared is None or cleared > release)

    def until(self, release: int) -> tuple[int, float]:
        """Step and time to which it lasted as of row `release`; its last bad row if it goes on."""
        if self.active(release) or self.cleared_step is None or self.cleared_at is None:
            return self.last_step, self.last_at
        return self.cleared_step, self.cleared_at


@dataclass(frozen=True, slots=True)
class OwnAnalyzer:
    """An analysis of the user's: ``module:Class``, and the hash of the module's file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Contained failures of one kind: how many, and the last one in words."""

    count: int
    last: str


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """Frames of one stream of one producer, and why they were dropped."""

    totals: Totals
    drops: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RecordBooks:
    """Critical records of one start of a producer: ``handed over = committed + lost + missing``.

    Attributes
    ----------
    committed, missing : int
        Numbers that the store holds, and those below the highest that it does not.
    handed_over, lost : int or None
        What the producer said of itself at its end; None before that, and from producers
        before version 1.1.
    """

    producer: str
    incarnation: int
    committed: int
    missing: int
    handed_over: int | None = None
    lost: int | None = None

    @property
    def name(self) -> str:
        """The producer, and which start of it unless it is the first."""
        start = f" (start {self.incarnation})" if self.incarnation > 1 else ""
        return f"{self.producer}{start}"

    @property
    def totals(self) -> RecordTotals | None:
        """The books in the producer's form; None while it has said nothing."""
        if self.handed_over is None or self.lost is None:
            return None
        return RecordTotals(
            offered=self.handed_over,
            committed=self.committed,
            lost=self.lost,
            pending=self.missing,
        )


@dataclass(frozen=True, slots=True)
class RunState:
    """Where the run stands.

    `failures` holds what was contained, by kind: "analysis" and "undecodable" (of a frame),
    "frame_file" (not kept), "frame_mismatch", "unexplained_frames", "missing_records",
    "books_differ" (from what the producer says of itself), "file" (a picture, JSON file or
    report that is given up), "alerts" (a rule that raised), "own_analysis" (of the user's) and
    "own_off" (switched off).
    """

    status: Status
    ended_at_ns: int | None
    reason: str | None
    released: int
    failures: dict[str, Failure] = field(default_factory=dict)
