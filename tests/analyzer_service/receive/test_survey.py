"""What the loop publishes about itself, of real runs and sessions."""

import time
from pathlib import Path

import pytest

from analyzer_service.commit.store import StoreError
from analyzer_service.metrics.readiness import Readiness
from analyzer_service.metrics.snapshot import Board, ProducerCounts, RunCounts
from analyzer_service.pipeline import RunPipeline
from analyzer_service.receive import survey as module
from analyzer_service.receive.survey import KEPT_S, Survey
from shared import protocol
from shared.messages import Books, RecordTotals, Totals
from tests.analyzer_service.receive.wire import HELLO, Wire, wire
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started

DEADLINE_S = 20.0
WALL_S = 1_760_000_000.0
BOOKS = Books(
    frames={"train": Totals(offered=3, delivered=1, pending=2)},
    records=RecordTotals(offered=4, committed=3, pending=1),
)


class Watch:
    """A survey of a wire."""

    def __init__(self, made: Wire, folder: Path) -> None:
        self.made = made
        self.board = Board()
        self.survey = Survey(self.board, folder, wall_clock=lambda: WALL_S + self.now)
        made.runs._last_look = self.survey.last_look
        self.now = 0.0

    def look(self, now: float) -> tuple[RunCounts, ...]:
        self.now = now
        sessions = self.made.sessions
        self.survey.look(self.made.runs, sessions, sessions.refused, now)
        return self.board.latest.runs

    def producer(self, now: float) -> ProducerCounts:
        ((producer,),) = [run.producers for run in self.look(now)]
        return producer


def begin(made: Wire) -> None:
    """A start, two batches, a frame, a drop; committed at 0 s."""
    made.say(HELLO)
    (session,) = made.sessions
    made.say(protocol.Attach(token=session.token), channel="bulk")
    records = [make_run_started(), make_batch(1), make_batch(2), make_drop(2)]
    for cseq, message in enumerate(records, start=1):
        made.say(protocol.Record(cseq=cseq), message)
    made.say(protocol.Frame(stream="train", fseq=1), make_frame(1), channel="bulk")
    made.commit()
    made.commit()


def end(made: Wire, now: float) -> None:
    """The run's end; W&B, which is off, is dealt with on a thread of its own."""
    made.say(protocol.Record(cseq=5), make_run_ended(), now=now)
    until_s = time.monotonic() + DEADLINE_S
    while not made.runs.ended:
        assert time.monotonic() < until_s
        made.commit(now)
        made.runs.tick(now)
        time.sleep(0.001)


def test_books_of_both_sides_are_told_as_they_were_last(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        producer = watch.producer(1.0)
        counts = producer.streams["train"]
        assert counts.totals == Totals(offered=2, delivered=1, dropped=1)
        assert counts.drops == {"queue_full": 1}
        assert (producer.committed, producer.acked, producer.said) == (4, 4, None)
        assert (producer.connected, producer.heard_at_s) == (True, WALL_S)
        made.wall_ns = int((WALL_S + 1.5) * 1e9)
        made.say(protocol.Heartbeat(books=BOOKS), now=1.5)
        producer = watch.producer(3.0)
        assert producer.said is not None
        assert (producer.said.books, producer.said.at_s) == (BOOKS, WALL_S + 1.5)
        assert producer.heard_at_s == WALL_S + 1.5


def test_a_snapshot_is_taken_once_a_second(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        first = watch.look(1.0)
        assert watch.look(1.9) is first
        assert watch.look(2.0) is not first


def test_what_was_refused_and_the_room_on_the_disk_are_told(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(protocol.FinAck())
        watch = Watch(made, tmp_path)
        watch.look(1.0)
        shot = watch.board.latest
        assert (shot.malformed, shot.ignored, shot.producers_connected) == (1, 0, 1)
        assert shot.free_bytes is not None
        assert shot.free_bytes > 0


def test_a_store_that_fails_is_told_and_what_was_known_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        (before,) = watch.look(1.0)
        assert not before.store_failing

        def fail(*_: object) -> None:
            raise StoreError("database or disk is full")

        monkeypatch.setattr(RunPipeline, "commit", fail)
        monkeypatch.setattr(RunPipeline, "counts", fail)
        made.say(protocol.Record(cseq=5), make_batch(3), now=2.0)
        made.commit(2.0)
        (run,) = watch.look(2.0)
        assert run.store_failing
        assert run.producers == before.producers
        stores = next(c for c in Readiness(watch.board).checks() if c.name == "stores")
        assert "demo" in stores.why
        monkeypatch.undo()
        made.commit(5.0)
        watch.look(5.0)
        assert next(c for c in Readiness(watch.board).checks() if c.name == "stores").ok


def test_a_run_that_is_over_stays_with_its_last_numbers_and_then_leaves(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        end(made, 1.0)
        last = BOOKS.model_copy(update={"waiting_bytes": 7})
        made.say(protocol.Fin(last_cseq=5, books=last), now=1.5)
        made.commit(1.5)
        (run,) = watch.look(2.0)
        assert (run.status, run.released) == ("finished", 2)
        (producer,) = run.producers
        assert (producer.committed, producer.acked, producer.connected) == (5, 5, False)
        assert producer.said is not None
        assert producer.said.books == last, "what is said after the end of the run counts, too"
        assert len(watch.look(1.0 + KEPT_S)) == 1
        assert watch.look(2.5 + KEPT_S) == ()


def test_a_run_that_goes_on_stands_there_once(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        end(made, 1.0)
        made.say(protocol.Fin(last_cseq=5), now=1.0)
        made.commit(1.0)
        made.say(HELLO.model_copy(update={"incarnation": 2, "instance": "two"}), now=2.0)
        started = make_run_started(incarnation=2, resumed_from_step=1)
        made.say(protocol.Record(cseq=1), started, now=2.0)
        made.commit(2.0)
        (run,) = watch.look(3.0)
        assert run.status == "running"
        (producer,) = run.producers
        assert (producer.committed, producer.streams) == (1, {}), "of the latest start"


def test_producers_beyond_a_number_are_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PRODUCERS", 1)
    with wire(tmp_path) as made:
        begin(made)
        other = make_run_started(producer="rank1", world_size=2)
        made.say(HELLO.model_copy(update={"producer": "rank1"}), peer=b"other")
        made.say(protocol.Record(cseq=1), other, peer=b"other")
        made.commit()
        watch = Watch(made, tmp_path)
        (run,) = watch.look(1.0)
        assert [producer.name for producer in run.producers] == ["rank0"]
        assert watch.board.latest.producers_left_out == 1


def test_being_watched_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with wire(tmp_path) as made:
        begin(made)
        watch = Watch(made, tmp_path)
        monkeypatch.setattr(module, "count_run", lambda *_: 1 / 0)
        watch.look(1.0)
        watch.look(2.0)
        assert watch.survey.contained == 2
        assert [record.levelname for record in caplog.records].count("ERROR") == 1
        monkeypatch.undo()
        assert len(watch.look(3.0)) == 1
        assert watch.board.latest.contained == 2


def test_alerts_that_go_on_are_counted_and_trainers_that_stand_still(
    tmp_path: Path,
) -> None:
    with wire(tmp_path) as made:
        begin(made)
        (run,) = made.runs
        with run.pipeline._store.transaction():
            run.pipeline._store.connection.execute(
                "INSERT INTO alerts (name, phase, rank, moment, release, step, at, since_step, "
                "since_at, last_step, last_at, sentence) VALUES "
                "('memory_growth', 'train', 0, 2, 1, 1, 0, 1, 0, 1, 0, '')"
            )
        watch = Watch(made, tmp_path)
        assert [counts.alerts for counts in watch.look(1.0)] == [{"memory_growth": 1}]
        run.stalls.standing[run.pipeline.open_origins()[0]] = 0.0
        found = [counts.alerts for counts in watch.look(2.0 + 1)]
        assert found == [{"memory_growth": 1, "stalled": 1}]
