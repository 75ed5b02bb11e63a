"""Commits: takes in what came, releases what can be released, all in one transaction."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.commit.alerts import RunAlerts
from analyzer_service.commit.database import StoreError
from analyzer_service.commit.failing import Failures
from analyzer_service.commit.own_results import OwnResults
from analyzer_service.commit.producers import Origin, ProducerState, load_producers
from analyzer_service.commit.rank_order import Awaited
from analyzer_service.commit.released import Released
from analyzer_service.commit.restoring import restore_maps
from analyzer_service.commit.sequencer import Sequencer
from analyzer_service.commit.store import Store
from analyzer_service.pipeline.frames import AnalyzedFrame
from shared.messages import CriticalMessage, DropNotice, RunStarted

_EVICTED_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """A critical message that waits to be committed."""

    origin: Origin
    cseq: int
    message: CriticalMessage
    payload: bytes


@dataclass
class Intake:
    """What came since the last commit.

    `late` names producers whose frames came too late; `again` holds frames that are there
    already, for their maps.
    """

    records: list[TakenRecord] = field(default_factory=list)
    frames: list[AnalyzedFrame] = field(default_factory=list)
    lost: set[Origin] = field(default_factory=set)
    late: set[Origin] = field(default_factory=set)
    again: list[tuple[Origin, bytes]] = field(default_factory=list)


class Ledger:
    """The producers of a run and everything that is committed about them."""

    def __init__(
        self,
        store: Store,
        is_in_work: Callable[[int, str, int], bool],
        *,
        frames_limit_bytes: int,
        is_joining: Callable[[list[ProducerState]], bool] = lambda _: False,
        alerts: AlertSettings = DEFAULT,
    ) -> None:
        self.store = store
        self._producers: dict[Origin, ProducerState] = {}
        self._released = Released(store, alerts)
        self._failures = Failures(store)
        self._sequencer = Sequencer(store, self._released, self._failures, is_in_work, is_joining)
        self._frames_limit_bytes = frames_limit_bytes
        self._frames_bytes = 0
        self._unsure = False
        self.load()

    @property
    def producers(self) -> dict[Origin, ProducerState]:
        """What is known of each start of each producer; never ahead of what is committed."""
        if self._unsure:
            self.load()
        return self._producers

    @property
    def released(self) -> int:
        """The last row that is released."""
        return self._released.release

    @property
    def alerts(self) -> RunAlerts:
        """The run's alerts."""
        return self._released.alerts

    @property
    def own(self) -> OwnResults:
        """What the user's own analyses came to."""
        return self._released.own

    @property
    def waits_for(self) -> tuple[Awaited, ...]:
        """Records of ranks that the next row of another one waits for."""
        return self._sequencer.waits_for

    @property
    def frames_bytes(self) -> int:
        """Size of the kept frames."""
        return self._frames_bytes

    def load(self) -> None:
        """Read everything from the database: at the start, and after a commit that failed."""
        self._unsure = True
        try:
            self._producers = load_producers(self.store)
            self._released.load()
            query = "SELECT coalesce(sum(file_bytes), 0) FROM frames"
            (self._frames_bytes,) = self.store.connection.execute(query).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self.store.folder}: the run could not be read: {error}") from error
        self._sequencer.stale_files.clear()
        self._unsure = False
        self._retire_earlier()

    def join(self, started: RunStarted) -> ProducerState:
        """Take a start of a producer in; one that is known is not changed."""
        origin = Origin(started.producer, started.incarnation)
        if origin not in self.producers:
            newest = max((known.incarnation for known in self.producers), default=0)
            with self.store.transaction():
                number = self.store.add_producer(started)
                self._note_latecomer(origin)
                if origin.incarnation >= newest:
                    self._run_goes_on()
            self.producers[origin] = ProducerState(number, origin, started)
            self._retire_earlier()
        return self.producers[origin]

    def commit(
        self, intake: Intake, note_files: Callable[[], list[str]], *, limit: int
    ) -> tuple[int, list[str]]:
        """Commit `intake` and release at most `limit` records.

        Returns how many records were released, and files of the run's folder to delete now.

        Raises
        ------
        StoreError
            When nothing could be written; `intake` may be committed later.
        """
        producers = self.producers
        try:
            with self.store.transaction():
                touched = self._take_in(intake)
                stale = note_files()
                released = self._sequencer.release(list(producers.values()), limit=limit)
                self._put(touched if not released else producers)
                if released:
                    self.alerts.settle()
                stale += self._evict()
        except BaseException:
            self._unsure = True
            raise
        for state in producers.values():
            state.forget_released()
        stale += self._sequencer.stale_files
        self._sequencer.stale_files.clear()
        return released, stale

    def clear(self) -> None:
        """Take every release back, so that the next commits release the run again."""
        with self.store.transaction():
            self._released.clear()
        self.load()

    def _take_in(self, intake: Intake) -> set[Origin]:
        for record in intake.records:
            self._take_record(self.producers[record.origin], record)
        for analyzed in intake.frames:
            self._take_frame(self.producers[analyzed.origin], analyzed)
        for origin, payload in intake.again:
            restore_maps(self.store, self.producers[origin].id, payload)
        for origin in intake.lost:
            self._take_loss(self.producers[origin])
        origins = {record.origin for record in intake.records} | intake.lost | intake.late
        return origins | {analyzed.origin for analyzed in intake.frames}

    def _take_record(self, state: ProducerState, record: TakenRecord) -> None:
        if record.cseq in state.committed:
            return
        self.store.add_record(state.id, record.cseq, record.payload)
        if isinstance(record.message, DropNotice):
            self.store.add_drop(state.id, record.cseq, record.message)
        if self._is_behind(state, record.cseq):
            self.store.put(rebuild_due=1)
        elif state.drained or state.lost:
            self._revive(state)
        state.note(record.cseq, record.message)
        state.committed.add(record.cseq)

    def _take_frame(self, state: ProducerState, analyzed: AnalyzedFrame) -> None:
        frame = analyzed.frame
        self.store.add_frame(state.id, frame)
        self._frames_bytes += frame.file_bytes
        books = state.stream(frame.stream)
        if frame.fseq <= books.floor:
            self.store.put(rebuild_due=1)
        books.take(frame.fseq, readable=frame.state != "undecodable")
        if analyzed.failure is not None:
            kind = "undecodable" if frame.state == "undecodable" else "analysis"
            self._failures.count(kind, analyzed.failure)
        if analyzed.file_error is not None:
            self._failures.count("frame_file", analyzed.file_error)

    def _take_loss(self, state: ProducerState) -> None:
        state.gone = True
        if state.ended is None and not state.drained:
            state.lost = True

    def _revive(self, state: ProducerState) -> None:
        """A producer that was taken for gone has more to say."""
        state.drained = state.lost = state.gone = state.frames_over = False
        self._note_latecomer(state.origin)
        self.store.connection.execute(
            "UPDATE producers SET status = NULL, reason = NULL, ended_at_ns = NULL WHERE id = ?",
            (state.id,),
        )
        self._run_goes_on()
        self._retire_earlier()

    def _note_latecomer(self, origin: Origin) -> None:
        """Have the run released again if other ranks were released without this one."""
        query = "SELECT 1 FROM batches WHERE origin = ? LIMIT 1"
        for other, state in self.producers.items():
            fellow = other.incarnation == origin.incarnation and other != origin
            if fellow and self.store.connection.execute(query, (state.id,)).fetchone():
                self.store.put(rebuild_due=1)

    def _run_goes_on(self) -> None:
        self.store.put(status=None, reason=None, ended_at_ns=None)
        self.store.connection.execute(
            "DELETE FROM jobs WHERE kind IN ('final', 'report') AND state = 'due'"
        )

    def _is_behind(self, state: ProducerState, cseq: int) -> bool:
        """Tell whether a record belongs before something that is released."""
        return cseq < state.next_release or any(
            other.next_release > 1
            for other in self.producers.values()
            if other.origin.incarnation > state.origin.incarnation
        )

    def _retire_earlier(self) -> None:
        """Expect nothing more of incarnations that a later one has replaced."""
        newest = max((origin.incarnation for origin in self.producers), default=0)
        for origin, state in self.producers.items():
            if state.lost or origin.incarnation < newest:
                state.gone = True

    def _put(self, origins: Iterable[Origin]) -> None:
        for origin in origins:
            state = self.producers[origin]
            self.store.connection.execute(
                "UPDATE producers SET next_release = ?, committed_cseq = ?, last_seen_ns = ?, "
                "lost = ? WHERE id = ?",
                (
                    *(state.next_release, state.committed_cseq, state.last_seen_ns),
                    *(state.lost, state.id),
                ),
            )
            for stream, books in state.books.items():
                self.store.put_books(state.id, stream, books)

    def _evict(self) -> list[str]:
        """Give up the oldest kept frames while the folder is too large, training's first.

        None goes before its dashboard is drawn; newer ones wait for it, so that what is left in
        the end does not depend on when which was drawn.
        """
        if self._frames_bytes <= self._frames_limit_bytes:
            return []
        query = (
            "SELECT f.id, f.file, f.file_bytes, EXISTS (SELECT 1 FROM jobs j "
            "WHERE j.kind = 'dashboard' AND j.phase = f.phase AND j.number = f.phase_step "
            "AND j.state = 'due') FROM frames f "
            "JOIN streams s ON s.origin = f.origin AND s.stream = f.stream "
            "WHERE f.file IS NOT NULL AND f.fseq <= s.floor AND f.phase = "
            "(SELECT min(phase) FROM frames "
            f"WHERE file IS NOT NULL) ORDER BY f.phase_step, f.id LIMIT {_EVICTED_AT_ONCE}"
        )
        evicted: list[str] = []
        for number, file, size, needed in self.store.connection.execute(query).fetchall():
            if needed or self._frames_bytes <= self._frames_limit_bytes:
                break
            self.store.connection.execute(
                "UPDATE frames SET file = NULL, file_bytes = 0 WHERE id = ?", (number,)
            )
            self._frames_bytes -= size
            evicted.append(file)
        if evicted:
            self.store.put(frames_removed=(self.store.get("frames_removed") or 0) + len(evicted))
        return evicted
