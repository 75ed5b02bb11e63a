"""`RunPipeline`: one run, from arriving records and frames to finished files."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.restoring import leave_restored
from analyzer_service.commit.store import Store
from analyzer_service.pipeline.committed import Committed
from analyzer_service.pipeline.due import DueFiles
from analyzer_service.pipeline.folder import FolderLock, claim_folder
from analyzer_service.pipeline.frames import FrameWork
from analyzer_service.pipeline.grace import EndGrace, JoinGrace, RankWaits
from analyzer_service.pipeline.ledger import Intake, Ledger, TakenRecord
from analyzer_service.pipeline.own_turns import OwnTurns
from analyzer_service.pipeline.settings import PipelineSettings
from analyzer_service.pipeline.staining import RunStaining
from analyzer_service.pipeline.telling import TellingPipeline
from analyzer_service.workers import Workers
from shared.codec import Buffer, encode, join, size_of
from shared.messages import CriticalMessage, RunStarted

logger = logging.getLogger(__name__)


class RunPipeline(TellingPipeline):
    """Driven by the ingest loop or by a replay, on one thread; made by `open`.

    `record` and `frame` only take in; `commit` does everything else and must be called again
    and again, also while nothing arrives, until `settled`.
    """

    def __init__(
        self, folder: Path, lock: FolderLock, workers: Workers, settings: PipelineSettings
    ) -> None:
        self.folder = folder
        self._lock = lock
        self._workers = workers
        self._settings = settings
        self._store = Store(folder)
        self._work = FrameWork(folder, workers, settings)
        self._joining = JoinGrace(settings.join_grace_s)
        self._ledger = Ledger(
            self._store,
            self._work.is_running,
            frames_limit_bytes=settings.frames_limit_bytes,
            is_joining=self._joining.waits,
            alerts=settings.alerts,
        )
        self._due = DueFiles(self._store, folder, workers, settings)
        self._staining = RunStaining(self._store, settings.stain_vectors)
        self._own = OwnTurns(self._store, self._work.own, self._ledger.own)
        self._intake = Intake()
        self._sizes: dict[tuple[Origin, str, int], int] = {}
        self._held_already: dict[Origin, dict[str, list[int]]] = {}
        self._returned: defaultdict[Origin, int] = defaultdict(int)
        self._grace = EndGrace(settings.end_grace_s)
        self._rank_waits = RankWaits(folder.name)
        self._stirred = True

    @classmethod
    def open(
        cls,
        output_dir: Path,
        started: RunStarted,
        *,
        workers: Workers,
        settings: PipelineSettings | None = None,
    ) -> Self:
        """Make the run's folder in `output_dir`, or take the run in it up again.

        Raises
        ------
        ConfigurationError
            If the folder cannot be written, belongs to another run or to no run, or is being
            written by another analyzer.
        StoreError
            If the database cannot be written.
        """
        folder, lock = claim_folder(output_dir, started)
        with lock.released_on_error():
            pipeline = cls(folder, lock, workers, settings or PipelineSettings())
        try:
            with pipeline._store.transaction():
                pipeline._store.put(run_id=started.run_id)
                pipeline._staining.keep_choice()
                pipeline._due.take_up()
                pipeline._ledger.alerts.adopt()
                pipeline._own.adopt()
            pipeline._ledger.join(started)
            pipeline.rebuild()
        except BaseException:
            pipeline.close()
            raise
        return pipeline

    def record(
        self, origin: Origin, cseq: int, message: CriticalMessage, payload: bytes | None = None
    ) -> None:
        """Take in a critical message; one that is there already changes nothing.

        `payload` is the message as it came; without it, it is encoded.
        """
        state = self._state(origin, message)
        if cseq not in state.committed:
            payload = join(encode(message)) if payload is None else payload
            self._intake.records.append(TakenRecord(origin, cseq, message, payload))

    def frame(self, origin: Origin, stream: str, fseq: int, payload: Sequence[Buffer]) -> bool:
        """Take in a frame and have it analyzed; False if it is there already or too late.

        The buffers of `payload` make the encoded frame together.
        """
        state = self._state(origin)
        books = state.stream(stream)
        nbytes = size_of(payload)
        if (state.id, stream, fseq) in self._work:
            self._returned[origin] += nbytes
            return False
        settled = fseq <= books.floor
        held = self._is_stored(state, stream, fseq) if settled else fseq in books.arrived
        if held and stream == "val" and self._settings.accept_late_frames:
            self._intake.again.append((origin, join(payload)))
        if held or (settled and not self._settings.accept_late_frames):
            if not held:
                books.late += 1
                self._intake.late.add(origin)
            self._returned[origin] += nbytes
            self._held_already.setdefault(origin, {}).setdefault(stream, []).append(fseq)
            return False
        self._sizes[origin, stream, fseq] = nbytes
        tissue = self._staining.facts(state.started)
        if tissue is None:
            self._work.hold(state, stream, fseq, payload)
        else:
            self._work.submit(state, stream, fseq, payload, tissue=tissue)
        return True

    def lost(self, origin: Origin) -> None:
        """Expect nothing more of a producer: what it owes is counted, its run ends as failed."""
        if origin in self._ledger.producers:
            self._intake.lost.add(origin)

    def nobody_joins(self) -> None:
        """Expect no ranks but those that were heard of."""
        self._joining.give_up()

    def commit(self) -> Committed:
        """Commit what came and what the workers finished, release rows, start due files.

        Raises
        ------
        StoreError
            If nothing could be written. Nothing is lost or acknowledged: call it again later.
        """
        self._workers.poll()
        self._end_waiting()
        self._let_held_go()
        self._rank_waits.look(self._ledger.waits_for)
        if self._nothing_new():
            self._own.advance(self._ledger.producers, self._grace.is_over)
            self._due.start(busy=len(self._work) > 0)
            return self._answer(Intake())
        self._intake.frames = list(self._work.gathered.values())
        intake, limit = self._intake, self._settings.release_limit
        released, stale = self._ledger.commit(intake, self._due.note, limit=limit)
        self._intake = Intake()
        self._work.gathered.clear()
        self._due.noted()
        # Where files are taken back, others may be due in their place.
        self._stirred = released >= limit or len(stale) > 0
        self._delete(stale)
        self._own.advance(self._ledger.producers, self._grace.is_over)
        self._due.start(busy=len(self._work) > 0)
        return self._answer(intake)

    def settled(self) -> bool:
        """Tell whether all that arrived is committed and released, and every due file written."""
        waits = self._stirred or self._intake.records or self._intake.lost
        if waits or self._work or self._work.gathered or not self._due.idle:
            return False
        return all(
            state.drained or (state.next_release > state.highest_cseq and not state.gone)
            for state in self._ledger.producers.values()
        )

    def rebuild(self) -> bool:
        """Release the whole run again if facts came after the rows that they belong to.

        Returns whether it was so; then `commit` until `settled`.
        """
        if not self._store.get("rebuild_due"):
            leave_restored(self._store)
            return False
        self._ledger.clear()
        self._own.forget()
        self._due.look_again()
        self._stirred = True
        return True

    def close(self) -> None:
        """Give up what is at work and let go of the folder; what is committed stays."""
        self._work.cancel()
        self._due.cancel()
        self._store.close()
        self._lock.release()

    def _state(self, origin: Origin, message: CriticalMessage | None = None) -> ProducerState:
        state = self._ledger.producers.get(origin)
        if state is not None:
            return state
        if isinstance(message, RunStarted):
            return self._ledger.join(message)
        # Its RunStarted is lost (a torn recording): the run's other facts hold for it too.
        facts = next(reversed(self._ledger.producers.values())).started
        producer, incarnation = origin
        update = {"producer": producer, "incarnation": incarnation, "resumed_from_step": None}
        return self._ledger.join(facts.model_copy(update=update))

    def _delete(self, files: list[str]) -> None:
        for file in files:
            try:
                (self.folder / file).unlink(missing_ok=True)
            except OSError as error:  # what is committed must be acked all the same
                logger.warning("%s could not be deleted: %s", self.folder / file, error)

    def _is_stored(self, state: ProducerState, stream: str, fseq: int) -> bool:
        return self._store.frame(state.id, stream, fseq) is not None

    def _let_held_go(self) -> None:
        """Have the held frames analyzed once it is known which stain vectors are taken."""
        if not self._work.held:
            return
        producers = list(self._ledger.producers.values())
        payloads = {key: frame.payload for key, frame in self._work.held.items()}
        if self._staining.advance(producers, payloads, self._grace.is_over):
            self._work.let_go(self._staining.known)

    def _nothing_new(self) -> bool:
        intake = self._intake
        came = intake.records or intake.lost or intake.late or intake.again or self._work.gathered
        return not (came or self._due.gathered or self._stirred)

    def _end_waiting(self) -> None:
        """Stop waiting for frames of producers that said everything, and for ranks, in time."""
        if self._joining.just_over(self._ledger.producers.values()):
            self._stirred = True
        for state in self._grace.overdue(self._ledger.producers):
            if not self._work.of(state):
                state.frames_over = self._stirred = True

    def _answer(self, intake: Intake) -> Committed:
        origins = {record.origin for record in intake.records}
        acked = {each: self.committed_cseq(*each) for each in origins}
        delivered, self._held_already = self._held_already, {}
        credit, self._returned = self._returned, defaultdict(int)
        for analyzed in intake.frames:
            origin, frame = analyzed.origin, analyzed.frame
            credit[origin] += self._sizes.pop((origin, frame.stream, frame.fseq), 0)
            delivered.setdefault(origin, {}).setdefault(frame.stream, []).append(frame.fseq)
        alerts = tuple(self._ledger.alerts.take_fired())
        return Committed(acked, delivered, dict(credit), alerts)
