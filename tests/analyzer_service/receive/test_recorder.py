import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from analyzer_service.receive.recorder import Recorder
from shared.recording import RecordingReader
from shared.recording import writer as recording_writer
from tests.builders import make_batch, make_frame, make_recorded


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
