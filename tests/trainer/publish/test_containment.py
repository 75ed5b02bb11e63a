"""What fails inside the sidecar costs what it must, and nothing else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared.books import records_balance
from shared.codec import decode_payload
from shared.errors import ConfigurationError, RecordingError
from shared.messages import (
    BatchMetrics,
    DropNotice,
    EpochEnded,
    Message,
    RecordTotals,
    RunEnded,
)
from shared.protocol import Welcome
from shared.recording import Recorded, RecordingReader, RecordingWriter
from tests.builders import make_run_started
from tests.trainer.publish.scripted_analyzer import ScriptedAnalyzer
from trainer.publish import BatchKeys, FrameArrays, Publisher, PublishOutcome, PublishSettings
from trainer.publish.journal import Journal
from trainer.publish.local import LocalAnalyzer
from trainer.publish.records import PendingRecord
from trainer.publish.sender import Sender

DEADLINE_S = 15.0


class FaultyCapture:
    """One loss and no frame arrays; the method named `fault` raises."""

    nbytes = 1

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def _fail(self, name: str) -> None:
        if name == self.fault:
            raise RuntimeError("CUDA error: device-side assert triggered")

    def scalars_ready(self) -> bool:
        self._fail("scalars_ready")
        return self.fault != "never ready"

    def ready(self) -> bool:
        self._fail("ready")
        return True

    def scalars(self) -> dict[str, float]:
        self._fail("scalars")
        return {"loss": 1.0}

    def frame(self) -> FrameArrays:
        raise RuntimeError("no frame")

    def drop_frame(self) -> None:
        self._fail("drop_frame")


def keys(step: int) -> BatchKeys:
    return BatchKeys("train", 0, step, step, step)


def read(path: Path | None) -> list[Message]:
    assert path is not None
    return [decode_payload(item.payload) for item in RecordingReader(path)]


def steps(messages: list[Message]) -> list[int]:
    return [m.global_step for m in messages if isinstance(m, BatchMetrics)]


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def hand_over(publisher: Publisher, count: int) -> None:
    for step in range(1, count + 1):
        publisher.batch(phase="train", epoch=0, batch_idx=step, global_step=step, loss=0.5)


@pytest.mark.parametrize("fault", ["scalars_ready", "ready", "scalars", "drop_frame"])
def test_a_capture_that_raises_costs_its_own_values_only(tmp_path: Path, fault: str) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    publisher.publish(keys(1), FaultyCapture(fault))
    publisher.publish(keys(2), FaultyCapture())
    outcome = publisher.close("failed")
    messages = read(outcome.journal)
    assert steps(messages) == [1, 2]
    assert isinstance(messages[-1], RunEnded)
    notices = [m for m in messages if isinstance(m, DropNotice)]
    assert {notice.reason for notice in notices} == {"capture_failed"}
    assert outcome.totals["train"].dropped == 2


def test_a_device_that_hangs_costs_the_values_and_the_loss_is_counted(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    for step, fault in enumerate(("never ready", "", ""), start=1):
        publisher.publish(keys(step), FaultyCapture(fault))
    outcome = publisher.close("failed", timeout_s=0.5)
    messages = read(outcome.journal)
    losses = [m.loss for m in messages if isinstance(m, BatchMetrics)]
    assert (steps(messages), losses) == ([1, 2, 3], [None, 1.0, 1.0])
    assert (outcome.records_lost, outcome.without_values) == (1, 1)
    assert outcome.books.records.lost == 0
    assert not outcome.complete
    book = outcome.totals["train"]
    assert (book.offered, book.dropped, book.pending) == (3, 3, 0)


def test_batches_and_epochs_that_make_no_message_are_counted(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    publisher.publish(BatchKeys("train", 0, -1, -1, 1), FaultyCapture())
    publisher.epoch_ended("first", 1)  # type: ignore[arg-type]
    publisher.epoch_ended(0, 2)
    outcome = publisher.close()
    messages = read(outcome.journal)
    assert [m.epoch for m in messages if isinstance(m, EpochEnded)] == [0]
    assert (outcome.records_lost, outcome.complete) == (2, False)
    [ended] = [m for m in messages if isinstance(m, RunEnded)]
    # Start, epoch 0, the notice of the batch's frame; the batch and the other epoch are lost.
    assert ended.records is not None
    assert (ended.records.offered, ended.records.lost) == (5, 2)
    assert records_balance(ended.records)
    assert outcome.books.records == RecordTotals(offered=6, committed=4, lost=2)


def test_a_short_time_to_close_costs_no_scalars(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    hand_over(publisher, 5000)  # more than the sender takes out of the inbox at a time
    outcome = publisher.close(timeout_s=0.01)
    assert steps(read(outcome.journal)) == list(range(1, 5001))
    assert outcome.records_lost == 0


def test_closing_waits_while_a_slow_disk_takes_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write_record

    def write_slowly(journal: Journal, record: PendingRecord) -> bool:
        time.sleep(0.02)
        return write(journal, record)

    monkeypatch.setattr(Journal, "write_record", write_slowly)
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    hand_over(publisher, 100)  # 2 s, where 1 s without a sign of progress is allowed
    outcome = publisher.close(timeout_s=0.01)
    assert steps(read(outcome.journal)) == list(range(1, 101))
    assert outcome.books.records == RecordTotals(offered=102, committed=102)


def test_a_disk_that_hangs_is_not_waited_for_and_the_books_know_every_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs, works = threading.Event(), threading.Event()

    def hang(_journal: Journal, _record: PendingRecord) -> bool:
        hangs.set()
        works.wait(DEADLINE_S)
        return False

    monkeypatch.setattr(Journal, "write_record", hang)
    monkeypatch.setattr("trainer.publish.publisher._STANDS_STILL_S", 0.1)
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    assert hangs.wait(DEADLINE_S)
    hand_over(publisher, 10)
    publisher.epoch_ended(0, 10)
    began_s = time.monotonic()
    outcome = publisher.close(timeout_s=0.1)
    assert time.monotonic() - began_s < DEADLINE_S / 2
    assert outcome.books.records == RecordTotals(offered=12, pending=12)
    assert not outcome.complete
    assert "12 records are not delivered, and may stand in no file" in caplog.text
    works.set()
    assert publisher._sender.ended.wait(DEADLINE_S)


def test_a_dying_sender_leaves_the_records_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Sender._turn

    def die(self: Sender) -> None:
        if self._stages.window.next_cseq > 1:
            raise RuntimeError("a fault of ours")
        turn(self)

    monkeypatch.setattr(Sender, "_turn", die)
    publisher = Publisher.start(
        make_run_started(),
        endpoint=f"ipc://{tmp_path}/a",
        settings=PublishSettings(journal_dir=tmp_path),
    )
    until(lambda: publisher._sender.over)
    hand_over(publisher, 2)
    began_s = time.monotonic()
    outcome = publisher.close()
    assert time.monotonic() - began_s < 1.0
    assert outcome.records_lost == 2
    assert outcome.books.records.lost == 2
    assert records_balance(outcome.books.records)
    assert [m.type for m in read(outcome.journal)][:1] == ["run_started"]


def test_what_was_handed_over_before_the_sender_died_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Sender) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Sender, "_drain", die)
    monkeypatch.setattr(Sender, "_turn", Sender._receive)
    publisher = Publisher.start(
        make_run_started(),
        endpoint=f"ipc://{tmp_path}/a",
        settings=PublishSettings(journal_dir=tmp_path),
    )
    hand_over(publisher, 20)
    outcome = publisher.close()
    assert steps(read(outcome.journal)) == list(range(1, 21))


@pytest.mark.parametrize("endpoint", ["tcp://*:5555", "ipc:///tmp/" + "x" * 200])
def test_an_address_that_cannot_be_connected_to_is_said_at_once(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot connect"):
        Publisher.start(make_run_started(), endpoint=endpoint)


def test_closing_does_not_wait_for_an_analyzer_whose_process_is_gone(tmp_path: Path) -> None:
    analyzer = LocalAnalyzer.start(
        tmp_path, project="p", log_file=tmp_path / "log", wandb="nonsense"
    )
    publisher = Publisher.start(
        make_run_started(),
        endpoint=analyzer.endpoint,
        settings=PublishSettings(
            journal_dir=tmp_path, first_answer_timeout_s=60.0, close_timeout_s=60.0
        ),
        analyzer_lives=lambda: analyzer.exit_code is None,
    )
    hand_over(publisher, 5)
    outcome = publisher.close()  # it may still run as closing begins
    assert analyzer.wait(1.0) == 2
    began_s = time.monotonic()
    assert publisher.close() is outcome
    assert time.monotonic() - began_s < 1.0
    assert steps(read(outcome.journal)) == [1, 2, 3, 4, 5]


class FullDisk:
    """Lets recordings fail while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.refused = 0
        append = RecordingWriter._append

        def fail_or_append(writer: RecordingWriter, data: bytes) -> None:
            if self.full:
                self.refused += 1
                raise RecordingError("No space left on device")
            append(writer, data)

        monkeypatch.setattr(RecordingWriter, "_append", fail_or_append)
        monkeypatch.setattr("trainer.publish.journal._RETRY_S", 0.2)


def test_a_recording_on_a_full_disk_is_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    disk.full = True
    hand_over(publisher, 10)
    until(lambda: disk.refused)
    outcome = publisher.close()
    assert not outcome.complete
    assert outcome.records_lost >= 11  # the batches and the run's end
    assert records_balance(outcome.books.records)


def test_a_disk_that_has_room_again_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    disk.full = True
    hand_over(publisher, 10)
    until(lambda: disk.refused >= 2)
    disk.full = False
    outcome = publisher.close(timeout_s=5.0)
    assert outcome.complete
    assert steps(read(outcome.journal)) == list(range(1, 11))


def test_records_that_no_memory_and_no_disk_can_hold_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    disk.full = True
    publisher = Publisher.start(
        make_run_started(),
        endpoint=f"ipc://{tmp_path}/a",
        settings=PublishSettings(
            journal_dir=tmp_path, unacked_bytes=20_000, first_answer_timeout_s=0.1
        ),
    )
    hand_over(publisher, 100)
    until(lambda: publisher.progress.books.records.offered == 101)
    records = publisher.progress.books.records
    kept = records.pending - 1  # the run's start
    assert 0 < kept < 100
    assert records.lost == 100 - kept
    outcome = publisher.close()
    assert outcome.journal is None
    assert outcome.records_lost == 102, "what memory held goes with the process"
    assert records_balance(outcome.books.records)


def test_frames_that_are_dropped_while_no_record_can_be_kept_are_named_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    disk.full = True
    publisher = Publisher.start(
        make_run_started(),
        endpoint=f"ipc://{tmp_path}/a",
        settings=PublishSettings(
            journal_dir=tmp_path,
            unacked_bytes=20_000,
            queue_bytes=10_000,
            first_answer_timeout_s=0.1,
        ),
    )
    images = np.zeros((1, 16, 16, 3), np.uint8)
    for step in range(1, 101):
        publisher.batch(
            phase="train",
            epoch=0,
            batch_idx=step,
            global_step=step,
            input=images,
            reconstruction=images,
        )
    until(lambda: publisher.progress.books.records.lost > 20)
    disk.full = False
    outcome = publisher.close()
    messages = read(outcome.journal)
    notices = [m for m in messages if isinstance(m, DropNotice)]
    named = [fseq for n in notices for fseq in range(n.first_fseq, n.last_fseq + 1)]
    book = outcome.totals["train"]
    assert (book.offered, book.delivered, book.pending) == (100, 0, 0)
    assert sorted(named) == list(range(1, 101)), "each frame has one notice, kept batch or not"
    assert {n.reason for n in notices} == {"queue_full", "closed"}
    assert records_balance(outcome.books.records)


def fill_beyond_memory(tmp_path: Path, endpoint: str) -> Publisher:
    publisher = Publisher.start(
        make_run_started(),
        endpoint=endpoint,
        settings=PublishSettings(journal_dir=tmp_path, unacked_bytes=20_000, close_timeout_s=2.0),
    )
    hand_over(publisher, 500)
    window = publisher._sender._stages.window
    until(lambda: window.flushed_cseq == 501 and window.first_in_memory > 100)
    return publisher


def test_a_burst_beyond_the_memory_budget_is_written_not_lost(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/a"
    analyzer = ScriptedAnalyzer(endpoint)
    publisher = fill_beyond_memory(tmp_path, endpoint)
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    analyzer.until(lambda: len(analyzer.records) >= 501)
    assert [cseq for cseq, _ in analyzer.records] == list(range(1, 502))
    assert publisher.close(timeout_s=0.2).records_lost == 0
    analyzer.close()


def test_records_that_left_memory_for_a_journal_that_is_gone_are_told(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/a"
    analyzer = ScriptedAnalyzer(endpoint)
    publisher = fill_beyond_memory(tmp_path, endpoint)
    assert publisher.progress.journal is not None
    publisher.progress.journal.unlink()
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    until(lambda: publisher.progress.refusal)
    outcome = publisher.close()
    assert "record 1 cannot be read back" in str(outcome.refusal)
    assert not outcome.complete
    analyzer.close()


def test_an_analyzer_that_holds_more_than_was_said_is_not_believed(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/a"
    analyzer = ScriptedAnalyzer(endpoint)
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=PublishSettings(journal_dir=tmp_path)
    )
    analyzer.until(lambda: analyzer.hellos)
    analyzer.tell(Welcome(committed_cseq=500, token="t"))
    until(lambda: publisher.progress.refusal)
    hand_over(publisher, 3)
    outcome = publisher.close()
    assert "another one published under its names" in str(outcome.refusal)
    assert steps(read(outcome.journal)) == [1, 2, 3]
    analyzer.close()


def closed(publisher: Publisher) -> PublishOutcome:
    hand_over(publisher, 3)
    return publisher.close()


def test_two_ranks_write_their_journals_to_one_folder(tmp_path: Path) -> None:
    settings = PublishSettings(journal_dir=tmp_path, first_answer_timeout_s=0.1)
    publishers = [
        Publisher.start(
            make_run_started(producer=f"rank{rank}"),
            endpoint=f"ipc://{tmp_path}/a",
            settings=settings,
        )
        for rank in range(2)
    ]
    outcomes = [closed(publisher) for publisher in publishers]
    journals = {outcome.journal for outcome in outcomes}
    assert len(journals) == 2
    for rank, outcome in enumerate(outcomes):
        assert steps(read(outcome.journal)) == [1, 2, 3]
        assert {item.producer for item in items(outcome.journal)} == {f"rank{rank}"}


def items(path: Path | None) -> list[Recorded]:
    assert path is not None
    return list(RecordingReader(path))


def test_a_flood_of_drops_takes_few_records(tmp_path: Path) -> None:
    publisher = Publisher.start(
        make_run_started(),
        record=tmp_path / "run.mcap",
        settings=PublishSettings(capture_bytes=10_000),
    )
    images = np.zeros((1, 3, 64, 64), np.float32)
    for step in range(1, 5001):
        publisher.batch(
            phase="train",
            epoch=0,
            batch_idx=step,
            global_step=step,
            loss=0.5,
            input=images,
            reconstruction=images,
        )
    outcome = publisher.close(timeout_s=30)
    messages = read(outcome.journal)
    assert steps(messages) == list(range(1, 5001))
    notices = [m for m in messages if isinstance(m, DropNotice)]
    dropped = sum(notice.last_fseq - notice.first_fseq + 1 for notice in notices)
    book = outcome.totals["train"]
    assert book.dropped == dropped > 1000
    assert book.offered == book.delivered + book.dropped == 5000
    assert len(notices) < dropped / 10
