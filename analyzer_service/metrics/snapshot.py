"""What the ingest loop tells of itself: immutable, taken at one moment, read by any thread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from analyzer_service.commit.views import Status, StreamCounts
from analyzer_service.sinks.wandb_outcome import Standing
from shared.messages import Books

STOOD_STILL_S: Final = 5.0
Phase = Literal["starting", "open", "ending"]
"""``open``: trainers are heard; ``ending``: nothing more is taken, what is there is written."""


@dataclass(frozen=True, slots=True)
class Said:
    """A producer's own books, and the Unix time at which they came, in seconds."""

    books: Books
    at_s: float


@dataclass(frozen=True, slots=True)
class ProducerCounts:
    """The latest start of one producer of a run.

    Attributes
    ----------
    streams : mapping
        Frames by stream as the analyzer counts them, as of `committed`.
    said : Said or None
        What the producer itself said last; None from one that says nothing of the kind.
    committed, acked : int
        Records up to this cseq are committed, and the producer was told so.
    heard_at_s : float or None
        Unix time of its last sign of life, in seconds; None if this process never heard it.
    ingest_lag_s : float or None
        Age of its last record as it came, in seconds.
    waiting_bytes : int
        Frames that were taken in and are not committed.
    """

    name: str
    streams: Mapping[str, StreamCounts]
    said: Said | None
    committed: int
    acked: int
    connected: bool
    heard_at_s: float | None
    ingest_lag_s: float | None
    waiting_bytes: int


@dataclass(frozen=True, slots=True)
class RunCounts:
    """One run; lags in seconds, sizes in bytes, alerts that go on by name.

    `waits_for` tells for which ranks rows of the others wait, and how many seconds already; `over`
    that it has ended and is not written any more.
    """

    run_id: str
    name: str
    frames_waiting: int
    work_lag_s: float
    records_uncommitted: int
    store_failing: bool
    wandb: Standing
    status: Status = "running"
    producers: tuple[ProducerCounts, ...] = ()
    released: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
    database_bytes: int = 0
    frames_bytes: int = 0
    waits_for: Mapping[str, float] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment, `taken_at_s` (Unix).

    `producers_left_out` are those beyond the number that is shown; `contained` counts messages
    that could not be dealt with; `free_bytes` is the room in the output folder.
    """

    taken_at_s: float = 0.0
    runs: tuple[RunCounts, ...] = ()
    producers_connected: int = 0
    producers_left_out: int = 0
    malformed: int = 0
    ignored: int = 0
    contained: int = 0
    free_bytes: int | None = None


@dataclass
class Board:
    """Where the loop leaves its latest snapshot, and a sign of each turn.

    One thread writes; any other reads whole objects, so nobody waits for anybody. Only `phase` may
    be set to ``ending`` by whoever ends the loop, a signal handler too.
    """

    clock: Callable[[], float] = time.monotonic
    latest: Snapshot = field(default_factory=Snapshot)
    turned_at: float = field(init=False)
    phase: Phase = "starting"

    def __post_init__(self) -> None:
        self.turned_at = self.clock()

    def turned(self) -> None:
        """Note that the loop has come round."""
        self.turned_at = self.clock()

    @property
    def still_s(self) -> float:
        """Seconds since the loop last came round."""
        return max(0.0, self.clock() - self.turned_at)

    def troubles(self) -> list[str]:
        """Why only a restart would help, a sentence each; nothing if all is well."""
        if self.still_s > STOOD_STILL_S:
            return [f"the ingest loop has stood still for {self.still_s:.0f} s"]
        return []
