"""Releases batches in the order in which they were said, each with its frame or without.

A batch waits for its frame to be analyzed, or for word that it will not come. Each start of a
producer is released in the order of its `cseq`, those of several ranks step by step (`rank_order`);
a later incarnation begins when the earlier ones are through. What is released, and in which order,
depends on the records and on the frames that arrived, not on when they did or how fast they were
analyzed.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from analyzer_service.commit.failing import Failures
from analyzer_service.commit.producers import ProducerState
from analyzer_service.commit.rank_order import Awaited, RankOrder
from analyzer_service.commit.released import Released
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.store import FoundFrame, Store
from shared.messages import (
    BatchMetrics,
    CriticalMessage,
    EpochEnded,
    FrameRef,
    RunEnded,
    RunStarted,
)

# Beyond every step, so that a resume takes the files of the run's end back.
_AT_THE_END = 2**62
_LAST_FSEQ = 2**32 - 1
_WORST_FIRST = ("failed", "interrupted", "finished")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The frame of a batch has neither come nor been given up."""


@dataclass
class Sequencer:
    """Releases what can be released; every method runs inside a transaction of the store.

    `is_in_work` tells whether a frame (producer's number, stream, fseq) is being analyzed, and
    `is_joining` whether more ranks of a start are waited for than are known.
    `stale_files` grows by files that are to be deleted once the transaction has ended; `waits_for`
    names the records of ranks that the next row of another one waited for at last.
    """

    store: Store
    released: Released
    failures: Failures
    is_in_work: Callable[[int, str, int], bool]
    is_joining: Callable[[list[ProducerState]], bool]
    stale_files: list[str] = field(default_factory=list)
    waits_for: tuple[Awaited, ...] = ()

    def release(self, producers: list[ProducerState], *, limit: int) -> int:
        """Release at most `limit` records of `producers`; return how many."""
        released, self.waits_for = 0, ()
        for group in _by_incarnation(producers):
            joining = self.is_joining(group)
            if len(group) == 1 and not joining:
                released += self._advance(group[0], limit - released)
            else:
                order = RankOrder(self.store, group, joining)
                released += self._advance_together(order, limit - released)
            if joining or not all(state.drained for state in group):
                return released
        self._end_run()
        return released

    def _advance_together(self, order: RankOrder, limit: int) -> int:
        """Release records of all ranks of one start until one has to wait."""
        released = 0
        while released < limit and (state := order.next()) is not None:
            message = state.message(self.store, state.next_release)
            if message is None:
                self._skip_gap(state)
            elif self._release(state, message):
                state.next_release += 1
                released += 1
            elif isinstance(message, RunEnded):
                order.hold(state)
            else:
                break
        self.waits_for = order.waits_for()
        return released

    def _advance(self, state: ProducerState, limit: int) -> int:
        """Release records of one producer's start until one has to wait."""
        if state.drained:
            return 0
        for count in range(limit):
            message = state.message(self.store, state.next_release)
            if message is None:
                if not (state.gone and self._skip_gap(state)):
                    return count
            elif not self._release(state, message):
                return count
            else:
                state.next_release += 1
        return limit

    def _skip_gap(self, state: ProducerState) -> bool:
        """Go on behind records that never came; False at the end of all records."""
        following = self.store.record_after(state.id, state.next_release)
        if following is None:
            if not state.drained:
                self._drain(state, _gone_without_end(state))
            return False
        first, last = state.next_release, following - 1
        what = f"{_name(state)}: records {first}..{last} never came"
        self.failures.count("missing_records", what)
        state.next_release = following
        return True

    def _release(self, state: ProducerState, message: CriticalMessage) -> bool:
        if isinstance(message, BatchMetrics):
            if self._waits_for_unnamed(state, message):
                return False
            found = self._frame_of(state, message)
            if isinstance(found, _Waiting):
                return False
            source = Source(state.id, state.next_release, state.started)
            self.released.add_batch(source, message, found)
            if message.frame is not None:
                self._settle(state, message.frame.stream, message.frame.fseq)
        elif isinstance(message, EpochEnded):
            self.released.add_epoch(message)
        elif isinstance(message, RunStarted) and message.incarnation > 1:
            step = message.resumed_from_step or 0
            self.stale_files += self.released.supersede(message.incarnation, step)
        elif isinstance(message, RunEnded):
            if self._waits_for_unnamed(state, message):
                return False
            self._close_books(state, message)
            self._drain(state, message)
        return True

    def _frame_of(self, state: ProducerState, batch: BatchMetrics) -> FoundFrame | _Waiting | None:
        ref = batch.frame
        if ref is None:
            return None
        books = state.stream(ref.stream)
        if self.is_in_work(state.id, ref.stream, ref.fseq):
            return _Waiting()
        if ref.fseq in books.arrived:
            return self._arrived(state, batch, ref)
        if books.reason(ref.fseq) is not None:
            return None
        if not (state.gone or state.frames_over):
            return _Waiting()
        self._give_up(state, ref.stream, ref.fseq, ref.fseq)
        return None

    def _arrived(
        self, state: ProducerState, batch: BatchMetrics, ref: FrameRef
    ) -> FoundFrame | None:
        found = self.store.frame(state.id, ref.stream, ref.fseq)
        if found is None or found.state == "undecodable":
            return None
        if found.phase is None:  # its analysis did not live to say which batch it belongs to
            return found
        if (found.phase, found.phase_step) != (batch.phase, batch.phase_step):
            frame = f"{_name(state)}: {ref.stream} frame {ref.fseq}"
            of, named = f"{found.phase} {found.phase_step}", f"{batch.phase} {batch.phase_step}"
            what = f"{frame} is of batch {of}, batch {named} names it"
            self.failures.count("frame_mismatch", what)
            return None
        return found

    def _waits_for_unnamed(self, state: ProducerState, message: BatchMetrics | RunEnded) -> bool:
        """Whether frames before those of `message`, which no batch named, may still come."""
        if state.gone or state.frames_over:
            return False
        return any(
            state.stream(stream).unnamed(last) for stream, last in _last_numbers(message).items()
        )

    def _settle(self, state: ProducerState, stream: str, fseq: int) -> None:
        """Nothing up to frame `fseq` can change any more; what is missing is missing for good."""
        books = state.stream(stream)
        unexplained = books.unnamed(fseq)
        books.offer_unnamed(fseq)
        for first, last in unexplained:
            self._give_up(state, stream, first, last)
        books.settle(fseq)

    def _close_books(self, state: ProducerState, end: RunEnded) -> None:
        """Compare what a producer says that it offered with what is known of it."""
        for stream, last in _last_numbers(end).items():
            self._settle(state, stream, last)
        for stream, totals in end.totals.items():
            known = state.books[stream].offered if stream in state.books else 0
            if known != totals.offered:
                said = f"it says that it offered {totals.offered} {stream} frames"
                self.failures.count("books_differ", f"{_name(state)}: {said}, {known} are known")

    def _give_up(self, state: ProducerState, stream: str, first: int, last: int) -> None:
        """Frames will not come: their producer is gone."""
        if state.ended is None:
            state.stream(stream).give_up(first, last, "peer_lost")
            return
        one = first == last
        frames = f"frame {first}" if one else f"frames {first} to {last}"
        fate = f"neither arrived nor {'was' if one else 'were'} dropped by name"
        what = f"{_name(state)}: {stream} {frames} {fate}"
        self.failures.count("unexplained_frames", what, times=last - first + 1)

    def _drain(self, state: ProducerState, end: RunEnded) -> None:
        state.drained = True
        self.store.connection.execute(
            "UPDATE producers SET status = ?, reason = ?, ended_at_ns = ? WHERE id = ?",
            (end.status, end.reason, end.ended_at_ns, state.id),
        )

    def _end_run(self) -> None:
        """End the run, unless it has: every producer of its latest incarnation has ended."""
        if self.store.get("status") is not None:
            return
        query = (
            "SELECT status, reason, ended_at_ns FROM producers "
            "WHERE incarnation = (SELECT max(incarnation) FROM producers)"
        )
        ends = self.store.connection.execute(query).fetchall()
        statuses = {status for status, _, _ in ends}
        if None in statuses:
            return
        status = next(each for each in _WORST_FIRST if each in statuses)
        reason = next((why for how, why, _ in ends if how == status and why), None)
        ended_at_ns = max(at for _, _, at in ends)
        self.store.put(status=status, reason=reason, ended_at_ns=ended_at_ns)
        self.released.end_step()
        for kind in ("final", "report"):
            self.released.due(kind, 0, _AT_THE_END)
        self.store.say(logging.INFO, f"run ended: {status} after {self.released.release} rows")


def _last_numbers(message: BatchMetrics | RunEnded) -> dict[str, int]:
    """By stream, the last frame that was offered when `message` was made."""
    if isinstance(message, RunEnded):
        said = {stream: totals.offered for stream, totals in message.totals.items()}
        return {stream: min(last, _LAST_FSEQ) for stream, last in said.items() if last}
    return {} if message.frame is None else {message.frame.stream: message.frame.fseq - 1}


def _by_incarnation(producers: list[ProducerState]) -> Iterator[list[ProducerState]]:
    ordered = sorted(producers, key=lambda state: (state.origin.incarnation, state.id))
    for incarnation in dict.fromkeys(state.origin.incarnation for state in ordered):
        yield [state for state in ordered if state.origin.incarnation == incarnation]


def _gone_without_end(state: ProducerState) -> RunEnded:
    reason = f"{state.origin.producer} went away without ending the run"
    return RunEnded(status="failed", reason=reason, ended_at_ns=state.last_seen_ns)


def _name(state: ProducerState) -> str:
    start = f" (start {state.origin.incarnation})" if state.origin.incarnation > 1 else ""
    return f"{state.origin.producer}{start}"
