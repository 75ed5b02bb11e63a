"""One run that is being received: what was taken in, what waits, and when to try a commit."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from analyzer_service.commit.database import StoreError
from analyzer_service.commit.views import AlertRecord
from analyzer_service.metrics.snapshot import Said
from analyzer_service.pipeline import Committed, Origin, RunPipeline
from analyzer_service.receive.ending import Ending
from analyzer_service.receive.recorder import Recorder
from analyzer_service.receive.stalls import Stalls
from analyzer_service.sinks.notifier import Notifier
from analyzer_service.sinks.wandb_sink import WandbSink
from shared.codec import Buffer, join, size_of
from shared.messages import BatchFrame, BatchMetrics, CriticalMessage, RunEnded, RunStarted
from shared.recording import Recorded, RecordedChannel

logger = logging.getLogger(__name__)

MAX_UNCOMMITTED_BYTES: Final = 64 << 20
_FIRST_RETRY_S: Final = 0.5
_LAST_RETRY_S: Final = 5.0

Taken = Literal["new", "known", "gap", "full"]


@dataclass
class LiveRun:
    """A pipeline, and the counts that sessions and the loop go by.

    `heard` holds, by producer's start, the clock at its last sign of life, until it has said
    how the run ended or is given up. `said` holds, by producer's start, the books that it
    itself told last, and `acked` how far it was told that its records are committed. `stalls`
    notices trainers that stand still.
    """

    pipeline: RunPipeline
    started: RunStarted
    folder: Path
    sink: WandbSink
    recorder: Recorder | None = None
    ending: Ending | None = None
    notifier: Notifier | None = None
    stalls: Stalls = field(default_factory=lambda: Stalls(""))
    received: dict[Origin, int] = field(default_factory=dict)
    heard: dict[Origin, float] = field(default_factory=dict)
    said: dict[Origin, Said] = field(default_factory=dict)
    acked: dict[Origin, int] = field(default_factory=dict)
    waiting_bytes: Counter[Origin] = field(default_factory=Counter)
    uncommitted_records: int = 0
    uncommitted_bytes: int = 0
    dirty: bool = False
    failing: bool = False
    closed: bool = False
    _held: list[tuple[Origin, BatchFrame, Sequence[Buffer]]] = field(default_factory=list)
    _told: int = -1
    _retry_at: float = 0.0
    _retry_s: float = _FIRST_RETRY_S

    def expect(self, origin: Origin, now: float) -> None:
        """Wait for signs of life of `origin`, and no more for its earlier starts."""
        for other in list(self.heard):
            if other.producer == origin.producer and other.incarnation < origin.incarnation:
                del self.heard[other]
        self.heard[origin] = now

    def expect_all(self, origin: Origin, now: float) -> None:
        """`expect` it, unless it has said its end, and what an earlier analyzer heard of."""
        for other in self.pipeline.open_origins():
            self.heard.setdefault(other, now)
        if not self.pipeline.has_ended(origin):
            self.expect(origin, now)

    @property
    def settled(self) -> bool:
        """Whether everything that arrived is committed, released and written."""
        return not (self.dirty or self.failing) and self.pipeline.settled()

    @property
    def over(self) -> bool:
        """Whether, moreover, every producer has ended."""
        return self.settled and self.pipeline.status is not None

    def drained(self, origin: Origin) -> bool:
        """Whether every frame of `origin` that arrived is analyzed and committed."""
        return self.closed or (not self.failing and self.waiting_bytes[origin] <= 0)

    def next_cseq(self, origin: Origin) -> int:
        """Number of the record that `origin` is to send next."""
        if origin not in self.received:
            self.received[origin] = self.pipeline.committed_cseq(*origin)
        return self.received[origin] + 1

    def take_record(
        self, origin: Origin, cseq: int, message: CriticalMessage, payload: bytes
    ) -> Taken:
        """Take in a critical record if it is the next one of `origin`."""
        expected = self.next_cseq(origin)
        if cseq != expected:
            return "known" if cseq < expected else "gap"
        if self.uncommitted_bytes + len(payload) > MAX_UNCOMMITTED_BYTES:
            return "full"
        try:
            self.put_record(origin, cseq, message, payload)
        except StoreError:
            return "full"
        self.received[origin] = cseq
        self.uncommitted_bytes += len(payload)
        if isinstance(message, RunEnded):
            self.heard.pop(origin, None)  # it said how the run ended: its silence is no failure
        self._keep(origin, "ctl", cseq, captured_at_ns(message), [payload])
        return "new"

    def put_record(
        self, origin: Origin, cseq: int, message: CriticalMessage, payload: bytes | None = None
    ) -> None:
        """Hand a record to the pipeline, in whatever order; `payload` is how it came."""
        self.pipeline.record(origin, cseq, message, payload)
        if isinstance(message, BatchMetrics):
            self.stalls.batch(origin)
        self.uncommitted_records += 1
        self.dirty = True

    def take_frame(self, origin: Origin, frame: BatchFrame, payload: Sequence[Buffer]) -> None:
        """Take in a frame and the buffers that it came in; while the store fails it waits here."""
        # The pipeline returns the credit of every frame, of one that it knows already, too.
        self.waiting_bytes[origin] += size_of(payload)
        if self.failing:
            self._held.append((origin, frame, payload))
        else:
            self._put_frame(origin, frame, payload)

    def give_up(self, origin: Origin) -> None:
        """Expect nothing more of `origin`: what it left open is closed."""
        self.heard.pop(origin, None)
        self.pipeline.lost(origin)
        self.dirty = True

    def commit(self, now: float) -> Committed | None:
        """Commit what came; None when the store cannot take it (it is tried again later)."""
        if self.failing and now < self._retry_at:
            return None
        try:
            committed = self.pipeline.commit()
        except (StoreError, OSError) as error:
            self._put_off(error, now)
            return None
        self._count(committed)
        return committed

    def _put_frame(self, origin: Origin, frame: BatchFrame, payload: Sequence[Buffer]) -> None:
        self.dirty = True
        if self.pipeline.frame(origin, frame.stream, frame.fseq, payload):
            self._keep(origin, frame.stream, frame.fseq, frame.captured_at_ns, payload)

    def _count(self, committed: Committed) -> None:
        if self.failing:
            logger.info("%s: results are written again", self.started.run_name)
        self.failing, self._retry_s = False, _FIRST_RETRY_S
        self.uncommitted_records = self.uncommitted_bytes = 0
        self.dirty = False
        held, self._held = self._held, []
        for each in held:
            self._put_frame(*each)
        for origin, nbytes in committed.credit.items():
            self.waiting_bytes[origin] -= nbytes
        self.sink.notify()
        self._tell(committed.alerts)

    def _tell(self, alerts: Sequence[AlertRecord]) -> None:
        """Hand alerts on, each once: a rebuild finds them again."""
        for alert in alerts:
            if self.notifier is not None and alert.moment > self._told:
                self.notifier.tell(self.started.run_name, alert)
        self._told = max([self._told, *(alert.moment for alert in alerts)])

    def _put_off(self, error: Exception, now: float) -> None:
        if not self.failing:
            logger.error(
                "%s: results cannot be written to %s (%s); nothing is acknowledged until they "
                "can, and the producers keep what they have",
                self.started.run_name,
                self.folder,
                error,
            )
        self.failing = True
        self._retry_at = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)

    def _keep(
        self,
        origin: Origin,
        channel: RecordedChannel,
        sequence: int,
        at_ns: int,
        payload: Sequence[Buffer],
    ) -> None:
        if self.recorder is None:
            return
        self.recorder.write(
            Recorded(
                run_id=self.started.run_id,
                run_name=self.started.run_name,
                producer=origin.producer,
                incarnation=origin.incarnation,
                channel=channel,
                sequence=sequence,
                captured_at_ns=at_ns,
                payload=join(payload),
            )
        )


def captured_at_ns(message: CriticalMessage) -> int:
    """When `message` was made, on the producer's clock."""
    if isinstance(message, RunStarted):
        return message.started_at_ns
    if isinstance(message, RunEnded):
        return message.ended_at_ns
    return message.captured_at_ns
