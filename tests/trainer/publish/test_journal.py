"""The journal's bound in bytes: what it refuses, and how it begins anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.codec import decode_payload, encode
from shared.messages import BatchFrame, BatchMetrics, Message, RunStarted
from shared.recording import RecordingReader
from tests.builders import make_batch, make_frame, make_run_started
from trainer.publish.frames import FrameWindow, PendingFrame
from trainer.publish.journal import Journal
from trainer.publish.keeping import Keeper
from trainer.publish.records import UnackedWindow

LIMIT_BYTES = 400_000


class Kept:
    """A keeper over a small journal; one record a call, with the time given."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = folder / "run.journal.mcap"
        self.window = UnackedWindow(1 << 30)
        self.frames = FrameWindow(1 << 30)
        self.journal = Journal(
            make_run_started(), self.path, everything=False, limit_bytes=limit_bytes
        )
        self.keeper = Keeper(self.window, self.frames, self.journal, interval_s=0.2, alone=False)
        self.now_s = 1e9  # later than the clock: writing frames is not cut short

    def keep(self, *, records: int = 0, frames: int = 0, connected: bool = False) -> None:
        for _ in range(records):
            number = self.window.next_cseq
            self.window.append(encode(make_batch(number)), number, self.now_s)
        for _ in range(frames):
            number = self.frames.totals()["train"].offered + 1
            parts = encode(make_frame(number))
            self.frames.offer("train")
            nbytes = sum(len(part) for part in parts)
            self.frames.encoded(PendingFrame("train", number, parts, number, nbytes))
        self.now_s += 1.0
        self.keeper.keep(self.now_s, connected=connected)
        self.now_s += 1.0
        self.keeper.keep(self.now_s, connected=connected)

    def messages(self) -> list[Message]:
        return [decode_payload(item.payload) for item in RecordingReader(self.path)]

    def count(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for message in self.messages())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.journal.close(keep=True)


def test_frames_take_a_quarter_and_records_what_is_left(kept: Kept, caplog) -> None:
    kept.keep(frames=50)
    assert 0 < kept.count(BatchFrame) < 50
    frames_bytes = kept.path.stat().st_size
    assert 0.15 * LIMIT_BYTES < frames_bytes < 0.27 * LIMIT_BYTES
    kept.keep(records=4000)
    assert 0.99 * LIMIT_BYTES < kept.path.stat().st_size <= LIMIT_BYTES
    written = kept.count(BatchMetrics)
    assert kept.window.flushed_cseq == written < 4000
    kept.keep()
    assert kept.count(BatchMetrics) == written
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "has reached its 400000 bytes" in said[0]
    kept.journal.close(keep=True)
    assert kept.path.stat().st_size <= LIMIT_BYTES


def test_records_of_a_full_journal_wait_in_memory(kept: Kept) -> None:
    kept.keep(records=4000)
    written = kept.window.flushed_cseq
    kept.window.evict()
    assert kept.window.first_in_memory == 1  # within its budget
    assert [record.cseq for record in kept.window.unjournaled(older_than_s=2e9)] == list(
        range(written + 1, 4001)
    )


def test_an_outgrown_journal_begins_anew_when_everything_is_committed(kept: Kept) -> None:
    kept.keep(records=4000)
    last = kept.window.next_cseq - 1
    kept.window.ack(last - 1)
    kept.keep()
    assert kept.count(BatchMetrics) > 100  # one is still missing
    kept.window.ack(last)
    kept.keep(connected=True)
    assert not kept.path.exists()
    assert kept.journal.path is None
    kept.keep(records=300)
    found = kept.messages()
    assert isinstance(found[0], RunStarted)
    assert [m.global_step for m in found[1:] if isinstance(m, BatchMetrics)] == list(
        range(last + 1, last + 301)
    )
    # Records that must be sent again are found in the new file.
    read_back = [item for item in kept.journal.records(last + 200, last + 202) if item]
    assert [cseq for cseq, _ in read_back] == [last + 200, last + 201, last + 202]


def test_frames_that_are_still_missing_are_written_to_the_new_file(kept: Kept) -> None:
    kept.keep(frames=2)
    kept.keep(records=4000)
    assert [frame.journaled for frame in kept.frames.unconfirmed()] == [True, True]
    kept.window.ack(kept.window.next_cseq - 1)
    kept.keep(connected=True)
    assert not kept.path.exists()
    kept.keep(records=1)
    assert kept.count(BatchFrame) == 2


def test_a_small_journal_is_left_alone(kept: Kept) -> None:
    kept.keep(records=10)
    kept.window.ack(10)
    kept.keep(connected=True)
    assert kept.path.exists()


def test_a_disk_that_fails_takes_no_memory_of_its_own(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep(records=255)
    monkeypatch.setattr("shared.recording.writer.RecordingWriter.write", _no_space, raising=True)
    for _ in range(20):
        kept.journal.try_again()
        kept.keep(records=1)
    assert len(kept.journal._index) == 0


def _no_space(*_: object) -> bool:
    raise OSError(28, "No space left on device")
