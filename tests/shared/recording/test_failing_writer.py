"""Full disks and killed writers: what was flushed stays readable."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import RecordingError
from shared.recording import RecordingReader, RecordingWriter
from tests.shared.recording.files import PLAIN, read


@contextmanager
def full_disk(at_bytes: int) -> Iterator[None]:
    """Writes beyond `at_bytes` of any file fail in the kernel, after a short write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_was_flushed_and_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    items = [replace(PLAIN, sequence=i, payload=bytes(3000)) for i in range(4)]
    writer = RecordingWriter(path)
    writer.write(items[0])
    writer.flush()
    flushed = path.stat().st_size
    writer.write(items[1])
    with full_disk(flushed + 1000):
        for _ in range(2):
            with pytest.raises(RecordingError, match=r"run\.mcap: cannot be written: .*"):
                writer.flush()
            assert path.stat().st_size == flushed
            assert read(path)[0] == items[:1]
    writer.write(items[2])
    writer.close()
    assert read(path) == (items[:3], [])


@pytest.mark.parametrize("room", [10, 60, 300, 100_000])
def test_a_large_payload_on_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, room: int
) -> None:
    path = tmp_path / "run.mcap"
    large = replace(PLAIN, sequence=1, payload=bytes(range(256)) * 1000)
    with RecordingWriter(path) as writer:
        writer.write(PLAIN)
        writer.flush()
        flushed = path.stat().st_size
        writer.write(large)
        with full_disk(flushed + room), pytest.raises(RecordingError, match="cannot be written"):
            writer.flush()
        assert path.stat().st_size == flushed
    assert read(path) == ([PLAIN, large], [])


def test_a_full_disk_does_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    writer = RecordingWriter(path)
    taken, refused = [], 0
    with full_disk(path.stat().st_size + 10):
        for i in range(100):
            item = replace(PLAIN, sequence=i, payload=bytes(30_000))
            try:
                writer.write(item)
                taken.append(item)
            except RecordingError:
                refused += 1
    assert len(taken) == 2
    assert refused == 98
    assert writer.nbytes < 1 << 17
    writer.close()
    assert read(path) == (taken, [])


def test_closing_on_a_full_disk_says_so_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    writer = RecordingWriter(path)
    writer.write(PLAIN)
    with (
        full_disk(path.stat().st_size),
        pytest.raises(RecordingError, match=r"run\.mcap: cannot be written"),
    ):
        writer.close()
    writer.close()
    items, losses = read(path)
    assert items == []
    assert "not closed" in losses[0]


def test_a_disk_that_is_full_from_the_start_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with full_disk(5), pytest.raises(RecordingError, match=r"run\.mcap: cannot be written"):
        RecordingWriter(path)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "run.mcap"
    with pytest.raises(RecordingError, match=r"missing/run\.mcap cannot be made: No such file"):
        RecordingWriter(path)


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from shared.recording import RecordingWriter
from tests.shared.recording.files import PLAIN

writer = RecordingWriter(Path(sys.argv[1]))
for i in range(500):
    writer.write(replace(PLAIN, sequence=i, payload=bytes([i % 256]) * 100))
writer.flush()
print("flushed", flush=True)
for i in range(500, 50_000):
    writer.write(replace(PLAIN, sequence=i, payload=bytes([i % 256]) * 100))
sys.stdin.read()
"""


@pytest.mark.process
def test_a_killed_writer_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    command = [sys.executable, "-c", _WRITER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert said == "flushed\n"
    reader = RecordingReader(path)
    items = list(reader)
    assert len(items) >= 500
    assert [item.sequence for item in items] == list(range(len(items)))
    assert all(item.payload == bytes([item.sequence % 256]) * 100 for item in items)
    assert "not closed" in str(reader.losses[-1])
