import os
import resource
from collections.abc import Iterator

import pytest

from analyzer_service.workers.memory_files import MemoryFile, MemoryFiles
from tests.analyzer_service.workers.tasks import memory_files

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="this system has no memory files"
)
MIB = 1 << 20


@pytest.fixture
def files() -> Iterator[MemoryFiles]:
    made = MemoryFiles()
    yield made
    made.close()
    assert memory_files() == []


def put(files: MemoryFiles, *parts: bytes) -> MemoryFile:
    file = files.put(parts)
    assert file is not None
    return file


def content(file: MemoryFile) -> bytes:
    return os.pread(file.fd, file.nbytes, 0)


def test_a_file_holds_what_the_parts_make_together(files: MemoryFiles) -> None:
    file = put(files, b"a" * 1000, b"", b"b" * 500)
    assert content(file) == b"a" * 1000 + b"b" * 500
    files.give_back(file, again=True)
    again = put(files, b"c" * 1400)
    assert again is file
    assert content(again) == b"c" * 1400
    files.give_back(again, again=False)


def test_a_file_is_used_again_only_when_that_is_promised(files: MemoryFiles) -> None:
    first = put(files, b"a" * 1000)
    files.give_back(first, again=False)
    assert memory_files() == []
    second = put(files, b"b" * 1000)
    assert second is not first
    third = put(files, b"c" * 1000)
    assert third.fd != second.fd
    assert content(second) == b"b" * 1000
    for file in (second, third):
        files.give_back(file, again=True)


def test_a_file_holds_at_most_twice_what_is_in_it(files: MemoryFiles) -> None:
    large = put(files, bytes(8 * MIB))
    files.give_back(large, again=True)
    small = put(files, bytes(MIB))
    assert small is not large
    assert small.size == MIB
    files.give_back(small, again=True)
    assert put(files, bytes(5 * MIB)) is small  # the last one that came back; it grows
    assert small.size == 5 * MIB
    files.give_back(small, again=True)


def test_memory_that_waits_for_use_is_bounded(files: MemoryFiles) -> None:
    out = [put(files, bytes(MIB)) for _ in range(100)]
    for file in out:
        files.give_back(file, again=True)
    assert len(memory_files()) == 64  # of a MiB each
    assert os.stat(out[-1].fd).st_size == MIB
    assert put(files, bytes(MIB)) is out[-1]
    files.give_back(out[-1], again=True)


def test_a_file_that_comes_back_after_the_end_is_closed() -> None:
    files = MemoryFiles()
    file = put(files, b"late")
    files.close()
    assert len(memory_files()) == 1
    files.give_back(file, again=True)
    assert memory_files() == []


@pytest.mark.parametrize("limit_bytes", [0, 2])
def test_a_write_that_falls_short_is_a_refusal(files: MemoryFiles, limit_bytes: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        assert files.put([b"four"]) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files.refused == 1
    assert memory_files() == []
