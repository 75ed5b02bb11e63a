"""What is known of each start of each producer: its records, its streams, whether it is gone."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple, get_args

from analyzer_service.commit.books import StreamBooks
from analyzer_service.commit.store import Store
from shared.codec import decode_payload
from shared.errors import ContractError
from shared.messages import (
    BatchFrame,
    BatchMetrics,
    CriticalMessage,
    DropNotice,
    RunEnded,
    RunStarted,
    Stream,
)
from shared.sequences import RangeSet

_REMEMBERED: Final = 1024


class Origin(NamedTuple):
    """One start of one producer."""

    producer: str
    incarnation: int


@dataclass
class ProducerState:
    """One start of one producer, as far as its records are committed.

    `frames_over`: it said everything up to `RunEnded`, and the wait for its last frames is over.
    `gone`: nothing more will come of it, neither records nor frames, because it is lost or a
    later start took its place. `lost`: it went away without saying `RunEnded`. `drained`: all
    of it is released, its end too.
    """

    id: int
    origin: Origin
    started: RunStarted
    next_release: int = 1
    committed: RangeSet = field(default_factory=RangeSet)
    last_seen_ns: int = 0
    ended: RunEnded | None = None
    lost: bool = False
    frames_over: bool = False
    gone: bool = False
    drained: bool = False
    books: dict[str, StreamBooks] = field(default_factory=dict)
    recent: OrderedDict[int, CriticalMessage] = field(default_factory=OrderedDict)

    @property
    def committed_cseq(self) -> int:
        """Everything up to here is committed."""
        first = self.committed.ranges[:1]
        return first[0][1] if first and first[0][0] == 1 else 0

    @property
    def highest_cseq(self) -> int:
        """Highest record that is committed."""
        last = self.committed.ranges[-1:]
        return last[0][1] if last else 0

    def stream(self, name: str) -> StreamBooks:
        """Books of stream `name`, made when they are first asked for."""
        return self.books.setdefault(name, StreamBooks())

    def note(self, cseq: int, message: CriticalMessage) -> None:
        """Take in what `message` says about frames and the producer's end; may be repeated."""
        if isinstance(message, BatchMetrics) and message.frame is not None:
            self.stream(message.frame.stream).offer(message.frame.fseq)
        elif isinstance(message, DropNotice):
            books = self.stream(message.stream)
            books.give_up(message.first_fseq, message.last_fseq, message.reason)
        elif isinstance(message, RunEnded):
            self.ended = message
        self.last_seen_ns = max(self.last_seen_ns, _time_of(message))
        self.remember(cseq, message)

    def remember(self, cseq: int, message: CriticalMessage) -> None:
        """Keep a message until its release, unless too many are kept: then it is read again."""
        self.recent[cseq] = message
        if len(self.recent) > _REMEMBERED:
            self.recent.popitem(last=False)

    def forget_released(self) -> None:
        """Let go of messages that are released and committed."""
        for cseq in [cseq for cseq in self.recent if cseq < self.next_release]:
            del self.recent[cseq]

    def message(self, store: Store, cseq: int) -> CriticalMessage | None:
        """Record `cseq`, None where it has not come."""
        if cseq in self.recent:
            return self.recent[cseq]
        payload = store.record(self.id, cseq)
        return None if payload is None else critical(payload)


def load_producers(store: Store) -> dict[Origin, ProducerState]:
    """Every start of every producer, as the database has them."""
    query = (
        "SELECT id, producer, incarnation, started, next_release, lost, status, last_seen_ns "
        "FROM producers"
    )
    states = {}
    for id_, name, incarnation, started, release, lost, status, seen in store.connection.execute(
        query
    ).fetchall():
        origin = Origin(name, incarnation)
        facts = RunStarted.model_validate_json(started)
        state = ProducerState(id_, origin, facts, release, last_seen_ns=seen, lost=bool(lost))
        state.drained = status is not None
        _load_records(store, state)
        _load_books(store, state)
        states[origin] = state
    return states


def critical(payload: bytes) -> CriticalMessage:
    """Message of a stored record."""
    message = decode_payload(payload)
    if isinstance(message, BatchFrame):
        raise ContractError("a frame stands among the critical records")
    return message


def _load_records(store: Store, state: ProducerState) -> None:
    query = "SELECT committed_cseq FROM producers WHERE id = ?"
    (committed,) = store.connection.execute(query, (state.id,)).fetchone()
    if committed:
        state.committed.add(1, committed)
    query = "SELECT cseq FROM records WHERE origin = ? AND cseq > ?"
    for (cseq,) in store.connection.execute(query, (state.id, committed)):
        state.committed.add(cseq)
    last = store.record(state.id, state.highest_cseq)
    message = None if last is None else critical(last)
    state.ended = message if isinstance(message, RunEnded) else None


def _load_books(store: Store, state: ProducerState) -> None:
    """Numbers beyond the floors from the facts; counts as they were committed with them."""
    stored = _stored_books(store, state.id)
    for stream, books in stored.items():
        state.stream(stream).settle(books.floor)
    _note_unsettled(store, state)
    for stream, books in stored.items():
        ours = state.stream(stream)
        ours.offered, ours.delivered, ours.dropped = books.offered, books.delivered, books.dropped
        ours.pending, ours.late, ours.reasons = books.pending, books.late, books.reasons


def _stored_books(store: Store, origin: int) -> dict[str, StreamBooks]:
    query = (
        "SELECT stream, offered, delivered, dropped, pending, late, floor FROM streams "
        "WHERE origin = ?"
    )
    books = {
        stream: StreamBooks(*counts)
        for stream, *counts in store.connection.execute(query, (origin,))
    }
    query = "SELECT stream, reason, frames FROM drop_counts WHERE origin = ?"
    for stream, reason, frames in store.connection.execute(query, (origin,)):
        books[stream].reasons[reason] = frames
    return books


def _note_unsettled(store: Store, state: ProducerState) -> None:
    query = "SELECT stream, first_fseq, last_fseq, reason FROM drops WHERE origin = ?"
    for stream, first, last, reason in store.connection.execute(query, (state.id,)):
        books = state.stream(stream)
        if last > books.floor:
            books.give_up(max(first, books.floor + 1), last, reason)
    for stream in get_args(Stream):
        books = state.stream(stream)
        query = "SELECT fseq, state FROM frames WHERE origin = ? AND stream = ? AND fseq > ?"
        for fseq, how in store.connection.execute(query, (state.id, stream, books.floor)):
            books.take(fseq, readable=how != "undecodable")
    query = "SELECT payload FROM records WHERE origin = ? AND cseq >= ? ORDER BY cseq"
    for (payload,) in store.connection.execute(query, (state.id, state.next_release)):
        message = critical(payload)
        if isinstance(message, BatchMetrics) and message.frame is not None:
            state.stream(message.frame.stream).offer(message.frame.fseq)


def _time_of(message: CriticalMessage) -> int:
    for name in ("captured_at_ns", "ended_at_ns", "started_at_ns"):
        if hasattr(message, name):
            return int(getattr(message, name))
    return 0
