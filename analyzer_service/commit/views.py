"""What a `RunReader` hands out: rows, samples, dashboards, epochs, the run's state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.messages import Phase, RecordTotals, Sample, Totals

Status = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Row:
    """A released batch: its number and its values as docs/architecture.md lists them."""

    release: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One analyzed tile; undefined values are NaN."""

    sample: Sample
    phase: Phase
    epoch: int
    global_step: int
    values: dict[str, float]


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
    report that is given up).
    """

    status: Status
    ended_at_ns: int | None
    reason: str | None
    released: int
    failures: dict[str, Failure] = field(default_factory=dict)
