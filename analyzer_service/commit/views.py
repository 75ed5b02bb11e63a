"""What a `RunReader` hands out: rows, samples, dashboards, epochs, the run's state."""

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.messages import Phase, Sample

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
class RunState:
    """Where the run stands.

    `failures` holds what was contained, by kind: "analysis" and "undecodable" (of a frame),
    "frame_file" (not kept), "frame_mismatch", "unexplained_frames", "missing_records", "file"
    (a picture, JSON file or report that is given up).
    """

    status: Status
    ended_at_ns: int | None
    reason: str | None
    released: int
    failures: dict[str, Failure] = field(default_factory=dict)
