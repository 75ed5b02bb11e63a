import _thread
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.codec import decode_payload
from shared.errors import ConfigurationError
from shared.messages import BatchFrame, BatchMetrics, DropNotice, RunEnded, RunStarted
from shared.protocol import Reject, Reset
from shared.recording import RecordingReader
from tests.builders import make_run_started
from tests.trainer.publish.scripted_analyzer import ScriptedAnalyzer
from trainer.publish import Publisher, PublishSettings
from trainer.publish.arrays import as_uint8_images
from trainer.publish.sender import Closing

rng = np.random.default_rng(0)
IMAGES = rng.random((2, 3, 32, 32), dtype=np.float32)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/a"


@pytest.fixture
def analyzer(endpoint: str) -> Iterator[ScriptedAnalyzer]:
    scripted = ScriptedAnalyzer(endpoint)
    yield scripted
    scripted.close()


def settings(tmp_path: Path, **changes: float) -> PublishSettings:
    return PublishSettings(journal_dir=tmp_path / "journal", **changes)  # type: ignore[arg-type]


def publish_batches(publisher: Publisher, count: int, *, first: int = 1) -> None:
    for step in range(first, first + count):
        publisher.batch(
            phase="train",
            epoch=0,
            batch_idx=step - 1,
            global_step=step,
            loss=1.0 / step,
            input=IMAGES,
            reconstruction=IMAGES * np.float32(0.5),
            attention={"bam_2": np.full((2, 4, 4), 0.5, np.float32)},
            scalars={"learning_rate": 0.1},
        )


def read(path: Path) -> list[object]:
    return [decode_payload(item.payload) for item in RecordingReader(path)]


def steps(analyzer: ScriptedAnalyzer) -> list[int]:
    return [m.global_step for _, m in analyzer.records if isinstance(m, BatchMetrics)]


def test_a_recording_without_an_analyzer_holds_everything(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    publisher = Publisher.start(make_run_started(), record=file)
    publish_batches(publisher, 5)
    publisher.epoch_ended(0, 5)
    outcome = publisher.close()
    messages = read(file)
    assert outcome.complete
    assert outcome.journal == file
    assert isinstance(messages[0], RunStarted)
    batches = [m for m in messages if isinstance(m, BatchMetrics)]
    assert [m.loss for m in batches] == [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert batches[0].scalars == {"learning_rate": 0.1}
    frames = [m for m in messages if isinstance(m, BatchFrame)]
    assert [m.fseq for m in frames] == [1, 2, 3, 4, 5]
    expected = np.rint(IMAGES * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(frames[0].input, expected)
    ended = messages[-1] if isinstance(messages[-1], RunEnded) else None
    assert ended is not None
    assert ended.totals["train"].model_dump() == {
        "offered": 5,
        "delivered": 5,
        "dropped": 0,
        "pending": 0,
    }


def test_an_existing_recording_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    file.write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match=r"run\.mcap"):
        Publisher.start(make_run_started(), record=file)
    assert file.read_bytes() == b"precious"


def test_a_whole_run_arrives_once_and_in_order(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=10.0)
    )
    publish_batches(publisher, 3)
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome(run_folder="runs/x")
    analyzer.until(lambda: len(analyzer.records) >= 4)
    assert analyzer.frames == []  # none before the run's first record is committed
    analyzer.ack_all()
    analyzer.until(lambda: len(analyzer.frames) == 3)
    analyzer.confirm_frames()
    publisher._sender.request_close(_closing())
    analyzer.until(lambda: any(isinstance(m, RunEnded) for _, m in analyzer.records))
    analyzer.ack_all()
    analyzer.until(lambda: analyzer.finished)
    analyzer.finack()
    outcome = publisher.close()
    assert steps(analyzer) == [1, 2, 3]
    assert [cseq for cseq, _ in analyzer.records] == [1, 2, 3, 4, 5]
    assert outcome.complete
    assert outcome.run_folder == "runs/x"
    assert outcome.totals["train"].delivered == 3
    assert outcome.journal is None  # nothing is missing, so none is left behind


def _closing() -> Closing:
    return Closing("finished", None, 10.0, time.monotonic() + 10.0)


def test_a_restarted_analyzer_gets_what_it_had_not_committed(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=1.0)
    )
    publish_batches(publisher, 4)
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    analyzer.until(lambda: len(analyzer.records) == 5)
    analyzer.records.clear()
    analyzer.tell(Reset())
    analyzer.until(lambda: len(analyzer.hellos) == 2)
    analyzer.welcome(committed_cseq=3)
    analyzer.until(lambda: len(analyzer.records) == 2)
    assert [cseq for cseq, _ in analyzer.records] == [4, 5]
    publisher.close()


def test_a_last_word_that_never_comes_is_not_waited_for_once_all_is_committed(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=60.0)
    )
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    publisher._sender.request_close(
        Closing("finished", None, timeout_s=60.0, deadline_s=time.monotonic() + 60)
    )
    analyzer.until(lambda: any(isinstance(m, RunEnded) for _, m in analyzer.records))
    analyzer.ack_all()
    analyzer.until(lambda: analyzer.finished)
    began_s = time.monotonic()
    outcome = publisher.close()
    assert time.monotonic() - began_s < 10
    assert outcome.complete
    assert outcome.journal is None


def test_frames_are_sent_again_unless_the_analyzer_has_them(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=1.0)
    )
    publish_batches(publisher, 3)
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    analyzer.until(lambda: analyzer.records)
    analyzer.ack_all()
    analyzer.until(lambda: len(analyzer.frames) == 3)
    analyzer.frames.clear()
    analyzer.tell(Reset())
    analyzer.until(lambda: len(analyzer.hellos) == 2)
    analyzer.welcome(committed_cseq=1, delivered={"train": [(2, 2)]})
    analyzer.until(lambda: len(analyzer.frames) == 2)
    assert [fseq for _, fseq, _ in analyzer.frames] == [1, 3]
    publisher.close()


def test_with_nobody_there_everything_stands_in_the_journal(tmp_path: Path, endpoint: str) -> None:
    publisher = Publisher.start(
        make_run_started(),
        endpoint=endpoint,
        settings=settings(tmp_path, first_answer_timeout_s=0.1),
    )
    publish_batches(publisher, 6)
    began_s = time.monotonic()
    outcome = publisher.close("interrupted", reason="stopped by hand")
    assert time.monotonic() - began_s < 8
    assert outcome.journal is not None
    messages = read(outcome.journal)
    assert [m.global_step for m in messages if isinstance(m, BatchMetrics)] == [1, 2, 3, 4, 5, 6]
    assert [m.fseq for m in messages if isinstance(m, BatchFrame)] == [1, 2, 3, 4, 5, 6]
    assert [m.reason for m in messages if isinstance(m, DropNotice)] == ["closed"]
    ended = [m for m in messages if isinstance(m, RunEnded)]
    assert [(m.status, m.reason) for m in ended] == [("interrupted", "stopped by hand")]
    book = outcome.totals["train"]
    assert (book.offered, book.dropped, book.pending) == (6, 6, 0)


def test_a_refusal_is_told_and_the_run_is_recorded_instead(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=2.0)
    )
    analyzer.until(lambda: analyzer.hellos)
    analyzer.tell(Reject(reason="another trainer claims this run"))
    publish_batches(publisher, 2)
    outcome = publisher.close()
    assert outcome.refusal == "another trainer claims this run"
    assert outcome.journal is not None
    assert [m.global_step for m in read(outcome.journal) if isinstance(m, BatchMetrics)] == [1, 2]


def test_records_beyond_the_memory_budget_come_back_from_the_journal(
    tmp_path: Path, endpoint: str
) -> None:
    publisher = Publisher.start(
        make_run_started(),
        endpoint=endpoint,
        settings=settings(tmp_path, unacked_bytes=2000, close_timeout_s=2.0),
    )
    for step in range(1, 101):
        publisher.batch(phase="train", epoch=0, batch_idx=step, global_step=step, loss=float(step))
        if step % 5 == 0:
            _until_journaled(publisher, step + 1)
    analyzer = ScriptedAnalyzer(endpoint)
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()
    analyzer.until(lambda: len(analyzer.records) >= 101)
    assert steps(analyzer) == list(range(1, 101))
    publisher.close()
    analyzer.close()


def _until_journaled(publisher: Publisher, records: int) -> None:
    deadline_s = time.monotonic() + 10
    window = publisher._sender._stages.window
    while window.flushed_cseq < records:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_values_that_are_no_numbers_do_not_stop_a_run(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    publisher = Publisher.start(make_run_started(), record=file)
    publisher.batch(phase="train", epoch=0, batch_idx=0, global_step=1, loss="high")
    publish_batches(publisher, 1, first=2)
    publisher.close()
    assert [m.global_step for m in read(file) if isinstance(m, BatchMetrics)] == [2]


def test_closing_twice_gives_the_same_outcome(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    assert publisher.close() is publisher.close("failed")


def test_images_in_the_usual_forms_become_uint8_rgb() -> None:
    gray = np.array([[[[0.0, 1.0], [0.5, np.nan]]]])
    assert as_uint8_images(gray)[0, :, :, 1].tolist() == [[0, 255], [128, 0]]
    assert as_uint8_images(IMAGES).shape == (2, 32, 32, 3)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        as_uint8_images(np.zeros((2, 5, 8, 8)))


def test_wrong_images_cost_the_frame_and_not_the_scalars(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    wrong = np.zeros((1, 2, 8, 8))
    publisher.batch(
        phase="train",
        epoch=0,
        batch_idx=0,
        global_step=1,
        loss=0.5,
        input=wrong,
        reconstruction=wrong,
    )
    outcome = publisher.close()
    messages = read(tmp_path / "run.mcap")
    assert [m.loss for m in messages if isinstance(m, BatchMetrics)] == [0.5]
    assert [m.reason for m in messages if isinstance(m, DropNotice)] == ["capture_failed"]
    assert outcome.records_lost == 0
    assert outcome.totals["train"].dropped == 1


def test_a_batch_that_could_not_be_captured_is_a_lost_record(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    publisher.count_lost()
    outcome = publisher.close()
    assert (outcome.books.records.offered, outcome.books.records.lost) == (3, 1)
    assert not outcome.complete


@pytest.mark.parametrize("reason", ["x" * 5000, "bl\udce4u.png is gone"])
def test_a_run_ends_whatever_its_reason_is(tmp_path: Path, reason: str) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    assert publisher.close("failed", reason=reason).complete
    [ended] = [m for m in read(tmp_path / "run.mcap") if isinstance(m, RunEnded)]
    assert ended.reason is not None
    assert ended.reason[:2] == reason[:2]


def test_a_run_without_its_end_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("trainer.publish.sender.RunEnded", fail)
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    assert not publisher.close().complete


def test_a_run_that_fits_in_no_message_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="this run cannot be announced: header of"):
        Publisher.start(make_run_started(config={"a": "x" * (1 << 21)}), record=tmp_path / "r.mcap")
    assert not (tmp_path / "r.mcap").exists()


def test_a_scalar_with_an_odd_name_costs_nothing_else(tmp_path: Path) -> None:
    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    publisher.batch(
        phase="train", epoch=0, batch_idx=0, global_step=1, loss=0.5, scalars={"bl\udce4u": 1.0}
    )
    publisher.close()
    [batch] = [m for m in read(tmp_path / "run.mcap") if isinstance(m, BatchMetrics)]
    assert (batch.loss, batch.scalars) == (0.5, {"bl\\udce4u": 1.0})


def test_ctrl_c_while_closing_leaves_at_once_with_everything_in_the_journal(
    tmp_path: Path, endpoint: str, analyzer: ScriptedAnalyzer
) -> None:
    publisher = Publisher.start(
        make_run_started(), endpoint=endpoint, settings=settings(tmp_path, close_timeout_s=60.0)
    )
    analyzer.until(lambda: analyzer.hellos)
    analyzer.welcome()  # and not a word more
    publish_batches(publisher, 5)
    began_s = time.monotonic()
    interrupt = threading.Timer(0.3, _thread.interrupt_main)
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        publisher.close()
    assert time.monotonic() - began_s < 30
    outcome = publisher.close()
    assert outcome.journal is not None
    messages = read(outcome.journal)
    assert len([m for m in messages if isinstance(m, BatchMetrics)]) == 5
    assert len([m for m in messages if isinstance(m, BatchFrame)]) == 5
    assert isinstance(messages[-1], RunEnded)
    assert outcome.totals["train"].dropped == 5
    interrupt.join()
