"""Frames at work: which ones wait, are being analyzed or came back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.store import StoredFrame
from analyzer_service.pipeline.calls import FrameCall, FrameReply, analyze_payload
from analyzer_service.pipeline.own_work import MeasuredFrame, OwnWork
from analyzer_service.pipeline.settings import PipelineSettings
from analyzer_service.workers import Outcome, Ticket, Workers
from shared.codec import Buffer, join
from shared.messages import RunStarted

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class AnalyzedFrame:
    """Results that wait to be committed."""

    origin: Origin
    frame: StoredFrame
    failure: str | None = None
    file_error: str | None = None


@dataclass(frozen=True, slots=True)
class HeldFrame:
    """A frame that came before it is known what to measure it with."""

    producer: ProducerState
    stream: str
    fseq: int
    payload: bytes
    since: float


@dataclass(frozen=True, slots=True)
class _RunningFrame:
    """A frame at the workers; `payload` is kept where an own analysis will ask for it."""

    ticket: Ticket
    since_s: float
    payload: bytes | None


@dataclass
class FrameWork:
    """Hands frames to the workers and gathers their results; `gathered` is for the next commit.

    `own` has the user's own analyses, if there are any: what is measured goes there first.
    """

    folder: Path
    workers: Workers
    settings: PipelineSettings
    gathered: dict[Key, AnalyzedFrame] = field(default_factory=dict)
    held: dict[Key, HeldFrame] = field(default_factory=dict)
    own: OwnWork | None = None
    _running: dict[Key, _RunningFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        source, limit_s = self.settings.own, self.settings.own_timeout_s
        if source is not None:
            self.own = OwnWork(self.workers, source, limit_s, self._gather_own, self.folder)

    def __contains__(self, key: Key) -> bool:
        known = key in self._running or key in self.gathered or key in self.held
        return known or (self.own is not None and key in self.own)

    def __len__(self) -> int:
        return len(self._running) + len(self.held) + len(self.own or ())

    @property
    def at_work(self) -> bool:
        """Whether the workers have frames; those that are held they have not."""
        return len(self._running) > 0 or (self.own is not None and self.own.at_work)

    @property
    def held_bytes(self) -> int:
        """Size of the frames that are held, or wait for their batch."""
        waiting = 0 if self.own is None else self.own.waiting_bytes
        return waiting + sum(len(frame.payload) for frame in self.held.values())

    @property
    def oldest_ms(self) -> float:
        """For how long the oldest frame at work has been there."""
        starts = [frame.since_s for frame in self._running.values()][:1]
        starts += [frame.since for frame in self.held.values()][:1]
        oldest_s = None if self.own is None else self.own.oldest_s
        starts += [] if oldest_s is None else [oldest_s]
        return (time.monotonic() - min(starts)) * 1000 if starts else 0.0

    def hold(
        self, producer: ProducerState, stream: str, fseq: int, payload: Sequence[Buffer]
    ) -> None:
        """Keep a frame for `let_go`: it cannot be analyzed yet."""
        frame = HeldFrame(producer, stream, fseq, join(payload), time.monotonic())
        self.held[producer.id, stream, fseq] = frame

    def let_go(self, tissue_of: Callable[[RunStarted], TissueFacts]) -> None:
        """Have all held frames analyzed, in the order in which they came."""
        held, self.held = self.held, {}
        for frame in held.values():
            tissue = tissue_of(frame.producer.started)
            self.submit(frame.producer, frame.stream, frame.fseq, [frame.payload], tissue=tissue)

    def submit(
        self,
        producer: ProducerState,
        stream: str,
        fseq: int,
        payload: Sequence[Buffer],
        *,
        tissue: TissueFacts,
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
            tissue,
        )
        kept = None if self.own is None else join(payload)
        ticket = self.workers.submit(
            analyze_payload,
            call,
            timeout_s=self.settings.frame_timeout_s,
            on_done=partial(self._take, producer.origin, key),
            payload=payload if kept is None else [kept],
            party=self.folder,
        )
        self._running[key] = _RunningFrame(ticket, time.monotonic(), kept)

    def is_running(self, producer: int, stream: str, fseq: int) -> bool:
        """Tell whether a frame is at work and has not come back."""
        key = (producer, stream, fseq)
        at_own = self.own is not None and key in self.own
        return at_own or key in self._running or key in self.held

    def of(self, producer: ProducerState) -> bool:
        """Tell whether any frame of `producer` is at work or waits to be committed."""
        keys = (*self._running, *self.gathered, *self.held, *(self.own or ()))
        return any(key[0] == producer.id for key in keys)

    def cancel(self) -> None:
        """Give up what is at work; nothing comes of it any more."""
        self.held.clear()
        running, self._running = self._running, {}
        for frame in running.values():
            self.workers.cancel(frame.ticket)
        if self.own is not None:
            self.own.cancel()

    def _take(self, origin: Origin, key: Key, outcome: Outcome[FrameReply]) -> None:
        running = self._running.pop(key, None)
        if running is None:
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
        elif self.own is not None and running.payload is not None:
            measured = MeasuredFrame(origin, reply, running.payload, running.since_s)
            self.own.waiting[key] = measured
            return
        self.gathered[key] = AnalyzedFrame(origin, reply.frame, failure, reply.file_error)

    def _gather_own(self, key: Key, measured: MeasuredFrame) -> None:
        reply = measured.reply
        self.gathered[key] = AnalyzedFrame(measured.origin, reply.frame, None, reply.file_error)
