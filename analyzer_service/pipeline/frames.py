"""Frames at work: which ones are being analyzed, what came back, and what they cost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.store import StoredFrame
from analyzer_service.pipeline.calls import FrameCall, FrameReply, analyze_payload
from analyzer_service.pipeline.settings import PipelineSettings
from analyzer_service.workers import Outcome, Ticket, Workers
from shared.codec import Buffer

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class AnalyzedFrame:
    """Results that wait to be committed."""

    origin: Origin
    frame: StoredFrame
    failure: str | None = None
    file_error: str | None = None


@dataclass
class FrameWork:
    """Hands frames to the workers and gathers their results; `gathered` is for the next commit."""

    folder: Path
    workers: Workers
    settings: PipelineSettings
    gathered: dict[Key, AnalyzedFrame] = field(default_factory=dict)
    _running: dict[Key, tuple[Ticket, float]] = field(default_factory=dict)

    def __contains__(self, key: Key) -> bool:
        return key in self._running or key in self.gathered

    def __len__(self) -> int:
        return len(self._running)

    @property
    def oldest_ms(self) -> float:
        """For how long the oldest frame at work has been there."""
        if not self._running:
            return 0.0
        _, since = next(iter(self._running.values()))
        return (time.monotonic() - since) * 1000

    def submit(
        self, producer: ProducerState, stream: str, fseq: int, payload: Sequence[Buffer]
    ) -> None:
        """Have a frame analyzed."""
        key = (producer.id, stream, fseq)
        call = FrameCall(
            stream,
            fseq,
            self.settings.calls.analyze,
            self.folder,
            producer.origin.incarnation,
            producer.started.analysis_freq,
        )

        ticket = self.workers.submit(
            analyze_payload,
            call,
            timeout_s=self.settings.frame_timeout_s,
            on_done=partial(self._take, producer.origin, key),
            payload=payload,
        )
        self._running[key] = ticket, time.monotonic()

    def is_running(self, producer: int, stream: str, fseq: int) -> bool:
        """Tell whether a frame is at work and has not come back."""
        return (producer, stream, fseq) in self._running

    def of(self, producer: ProducerState) -> bool:
        """Tell whether any frame of `producer` is at work or waits to be committed."""
        return any(key[0] == producer.id for key in (*self._running, *self.gathered))

    def cancel(self) -> None:
        """Give up what is at work; nothing comes of it any more."""
        running, self._running = self._running, {}
        for ticket, _ in running.values():
            self.workers.cancel(ticket)

    def _take(self, origin: Origin, key: Key, outcome: Outcome[FrameReply]) -> None:
        if self._running.pop(key, None) is None:
            return  # given up
        _, stream, fseq = key
        reply = outcome.value
        if reply is None:
            error = outcome.error or outcome.how
            frame = StoredFrame(stream, fseq, "failed", error=error)
            reply = FrameReply(frame)
        failure = None
        if reply.frame.state != "analyzed":
            failure = f"{origin.producer}: {stream} frame {fseq}: {reply.frame.error}"
        self.gathered[key] = AnalyzedFrame(origin, reply.frame, failure, reply.file_error)
