"""What a run's pipeline tells of itself, to the ingest loop, a replay and those that watch it."""

from collections.abc import Mapping

from analyzer_service.commit.producers import Origin
from analyzer_service.commit.store import Store
from analyzer_service.pipeline.counts import PipelineCounts, count
from analyzer_service.pipeline.due import DueFiles
from analyzer_service.pipeline.frames import FrameWork
from analyzer_service.pipeline.grace import RankWaits
from analyzer_service.pipeline.ledger import Intake, Ledger
from shared.messages import RunEnded, RunStatus
from shared.sequences import RangeSet


class TellingPipeline:
    """The questions that a `RunPipeline` answers; none of them changes anything."""

    _store: Store
    _work: FrameWork
    _due: DueFiles
    _ledger: Ledger
    _intake: Intake
    _rank_waits: RankWaits

    @property
    def frames_waiting(self) -> int:
        """Frames that are being analyzed or wait for a worker."""
        return len(self._work)

    @property
    def held_bytes(self) -> int:
        """Size of the frames that wait until it is known what to measure them with."""
        return self._work.held_bytes

    @property
    def at_work(self) -> bool:
        """Whether workers have frames to analyze, or files to write."""
        return self._work.at_work or self._due.at_work

    @property
    def work_lag_ms(self) -> float:
        """Age of the oldest frame at work."""
        return self._work.oldest_ms

    @property
    def status(self) -> RunStatus | None:
        """How the run ended, as far as it is released; None while it runs."""
        status: RunStatus | None = self._store.get("status")
        return status

    def counts(self) -> PipelineCounts:
        """What is committed, in numbers; raises `StoreError` or `sqlite3.Error`."""
        return count(self._ledger)

    def committed_cseq(self, producer: str, incarnation: int) -> int:
        """Every record up to this one is committed."""
        state = self._ledger.producers.get(Origin(producer, incarnation))
        return 0 if state is None else state.committed_cseq

    def first_records(self) -> list[tuple[Origin, bytes]]:
        """What each start of each producer said first, as it came, if it is committed."""
        states = self._ledger.producers
        found = [(origin, self._store.record(state.id, 1)) for origin, state in states.items()]
        return [(origin, payload) for origin, payload in found if payload is not None]

    def delivered(self, producer: str, incarnation: int) -> dict[str, RangeSet]:
        """Frames by stream that need not be sent (again).

        Those that are committed, and all whose batches are released, frame or not.
        """
        state = self._ledger.producers.get(Origin(producer, incarnation))
        books = {} if state is None else state.books
        return {stream: RangeSet(of.arrived.ranges) for stream, of in books.items() if of.arrived}

    def open_origins(self) -> list[Origin]:
        """Producers' starts of which more is to come: neither ended nor lost nor replaced.

        The database knows them, so those that an earlier analyzer heard of are among them.
        """
        return [
            origin
            for origin, state in self._ledger.producers.items()
            if not (state.gone or origin in self._intake.lost or self.has_ended(origin))
        ]

    def has_ended(self, origin: Origin) -> bool:
        """Tell whether a producer has said how the run ended."""
        state = self._ledger.producers.get(origin)
        said = (t.origin for t in self._intake.records if isinstance(t.message, RunEnded))
        return (state is not None and state.ended is not None) or origin in said

    @property
    def waits_for(self) -> Mapping[str, float]:
        """Ranks that the next row waits for, by producer's name, and how long already, in s."""
        return self._rank_waits.waited_s()
