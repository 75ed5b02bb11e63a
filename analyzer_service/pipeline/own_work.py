"""Own analyses at work: after the built-in one of a frame, in a call of their own.

A hang costs a worker process and this call, never what was measured before: that waits here. The
processes run nothing but own analyses, so that what these do to theirs changes no built-in number.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from analyzer_service.commit.producers import Origin
from analyzer_service.commit.rows import build_row
from analyzer_service.commit.store import OwnOutcome
from analyzer_service.own.calling import OwnCall, OwnReply, run_own
from analyzer_service.own.source import OwnSource
from analyzer_service.pipeline.calls import FrameReply
from analyzer_service.workers import Outcome, Ticket, Workers
from shared.messages import BatchMetrics, RunStarted

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class MeasuredFrame:
    """A frame and what the built-in analysis made of it."""

    origin: Origin
    reply: FrameReply
    payload: bytes
    since_s: float


@dataclass
class OwnWork:
    """Hands measured frames to the workers; `take` gets each with what came of it."""

    workers: Workers
    source: OwnSource
    timeout_s: float
    take: Callable[[Key, MeasuredFrame], None]
    party: Hashable = None
    waiting: dict[Key, MeasuredFrame] = field(default_factory=dict)
    _running: dict[Key, tuple[Ticket, MeasuredFrame]] = field(default_factory=dict)

    def __contains__(self, key: Key) -> bool:
        return key in self.waiting or key in self._running

    def __iter__(self) -> Iterator[Key]:
        return iter((*self.waiting, *self._running))

    def __len__(self) -> int:
        return len(self.waiting) + len(self._running)

    @property
    def at_work(self) -> bool:
        """Whether the workers have any."""
        return len(self._running) > 0

    @property
    def waiting_bytes(self) -> int:
        """Size of the frames that wait for their batch."""
        return sum(len(frame.payload) for frame in self.waiting.values())

    @property
    def oldest_s(self) -> float | None:
        """Clock at which the oldest frame came here; None when there is none."""
        frames = (*self.waiting.values(), *(frame for _, frame in self._running.values()))
        return min((frame.since_s for frame in frames), default=None)

    def skip(self, key: Key) -> None:
        """Let a waiting frame go without an own analysis."""
        self.take(key, self.waiting.pop(key))

    def submit(self, key: Key, batch: BatchMetrics, started: RunStarted) -> None:
        """Have a waiting frame analyzed with the row that its batch will have."""
        measured = self.waiting.pop(key)
        row = {"phase": batch.phase} | build_row(batch, measured.reply.frame.part, started)
        ticket = self.workers.submit(
            run_own,
            OwnCall(self.source, row),
            timeout_s=self.timeout_s,
            on_done=partial(self._done, key),
            payload=[measured.payload],
            apart=True,
            party=self.party,
        )
        self._running[key] = ticket, measured

    def cancel(self) -> None:
        """Give up what is at work; nothing comes of it any more."""
        self.waiting.clear()
        running, self._running = self._running, {}
        for ticket, _ in running.values():
            self.workers.cancel(ticket)

    def _done(self, key: Key, outcome: Outcome[OwnReply]) -> None:
        _, measured = self._running.pop(key, (None, None))
        if measured is None:
            return  # given up
        reply = outcome.value or OwnReply(error=outcome.error or outcome.how)
        frame = measured.reply.frame
        part = (frame.part or {}) | (reply.numbers or {})
        own = OwnOutcome(self.source.identity, reply.error)
        stored = replace(frame, part=part, own=own)
        self.take(key, replace(measured, reply=replace(measured.reply, frame=stored)))
