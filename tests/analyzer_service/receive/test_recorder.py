import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analyzer_service.receive.recorder import Recorder
from shared.recording import RecordingReader, Segment, deleted_segments, find_segments
from shared.recording import writer as recording_writer
from tests.builders import make_batch, make_frame, make_recorded, make_run_started


class FullDisk:
    """Stands for the file of a recording: takes `room` bytes, then no more."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by the writer
        self._room = room

    def write(self, data: bytes) -> int:
        if len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_a_full_disk_is_said_once_and_what_was_written_stays_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording_writer, "_create", lambda path: FullDisk(path, 200_000))
    recorder = Recorder(tmp_path)
    for number in range(1, 60):
        recorder.write(make_recorded(make_frame(number, size=64)))
        recorder.flush(float(2 * number))
    recorder.close()
    assert len([r for r in caplog.records if "recording stops here" in r.getMessage()]) == 1
    fseqs = [item.sequence for item in RecordingReader(tmp_path / "stream.mcap")]
    assert fseqs == list(range(1, len(fseqs) + 1))
    assert len(fseqs) >= 1


def test_a_recording_leaves_the_end_of_the_disk_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimpleNamespace(f_blocks=1 << 24, f_frsize=4096, f_bavail=0)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    recorder = Recorder(tmp_path)
    # 256 MiB are left to the run, 65,536 blocks; a frame takes 3 MiB, or 768 of them.
    for number, left in enumerate((80_000, 66_400, 66_000, 80_000), start=1):
        disk.f_bavail = left
        recorder.write(make_recorded(make_frame(number, size=512)))
    recorder.close()
    (said,) = [r.getMessage() for r in caplog.records if "recording stops here" in r.getMessage()]
    assert "left on the disk" in said
    assert [item.sequence for item in RecordingReader(tmp_path / "stream.mcap")] == [1, 2]


def test_an_analyzer_that_was_started_again_leaves_earlier_recordings_alone(
    tmp_path: Path,
) -> None:
    for number in (1, 2, 3):
        recorder = Recorder(tmp_path)
        recorder.write(make_recorded(make_batch(number), number))
        recorder.close()
        recorder.close()
    names = ["stream.mcap", "stream_2.mcap", "stream_3.mcap"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    held = [[item.sequence for item in RecordingReader(tmp_path / name)] for name in names]
    assert held == [[1], [2], [3]]


def fill(folder: Path, count: int, **options: Any) -> Recorder:
    """A recording of `count` frames of 24 KiB, behind the start of their run."""
    recorder = Recorder(folder, **options)
    recorder.write(make_recorded(make_run_started(), 1))
    for number in range(1, count + 1):
        recorder.write(make_recorded(make_batch(number), number + 1))
        recorder.write(make_recorded(make_frame(number, size=64)))
    return recorder


def test_segments_stay_within_their_limit_and_each_knows_its_run(tmp_path: Path) -> None:
    limit = 1 << 20
    fill(tmp_path, 200, limit_bytes=limit).close()
    kept = find_segments(tmp_path)
    assert len(deleted_segments(kept)) > 0, "there was more to record than the limit allows"
    assert kept == [Segment(1, number) for number in range(kept[0].number, kept[-1].number + 1)]
    sizes = [(tmp_path / segment.name).stat().st_size for segment in kept]
    assert max(sizes) <= limit // 8 + 4096
    assert limit // 2 < sum(sizes) <= limit
    held = []
    for segment in kept:
        reader = RecordingReader(tmp_path / segment.name)
        first, *items = [(item.channel, item.sequence) for item in reader]
        assert first == ("ctl", 1)
        assert reader.losses == []
        held += items
    oldest = held[0][1]
    every = [item for n in range(1, 201) for item in (("ctl", n + 1), ("train", n))]
    assert held == every[-len(held) :]
    assert oldest > 1


def test_an_analyzer_that_was_started_again_deletes_earlier_segments_first(tmp_path: Path) -> None:
    limit = 1 << 20
    fill(tmp_path, 20, limit_bytes=limit).close()
    start = make_recorded(make_run_started(), 1)
    again = Recorder(tmp_path, limit_bytes=limit, starts=[start])
    for number in range(21, 200):
        again.write(make_recorded(make_frame(number, size=64)))
    again.close()
    kept = find_segments(tmp_path)
    assert {segment.start for segment in kept} == {2}
    assert next(iter(RecordingReader(tmp_path / kept[0].name))).sequence == 1
    assert sum((tmp_path / each.name).stat().st_size for each in kept) <= limit


def test_without_a_limit_there_is_one_file(tmp_path: Path) -> None:
    fill(tmp_path, 50).close()
    assert [path.name for path in tmp_path.iterdir()] == ["stream.mcap"]
