"""Payloads that processes map: whole after a death, never reused too early, never left behind."""

import logging
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analyzer_service.workers import Outcome, PoolWorkers
from tests.analyzer_service.workers import tasks
from tests.analyzer_service.workers.polling import (
    LIMIT_S,
    is_running,
    outcome_of,
    poll_until,
    wait_for_text,
)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="this system has no memory files"
)
LARGE = 400_000


@pytest.fixture
def pool() -> Iterator[PoolWorkers]:
    made = PoolWorkers(1)
    yield made
    made.close()
    assert tasks.memory_files() == []


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing more, as a process with a leak."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    holes = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest + 1)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(holes) + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for hole in holes:
            os.close(hole)


def test_a_worker_killed_in_the_middle_of_its_payload_is_replaced_by_one_that_has_it_whole(
    pool: PoolWorkers, tmp_path: Path
) -> None:
    payload, marker, done = os.urandom(LARGE), tmp_path / "marker", []
    pool.submit(
        tasks.checksum_on_second_try,
        marker,
        timeout_s=LIMIT_S,
        on_done=done.append,
        payload=[payload],
    )
    process = int(wait_for_text(marker))
    assert tasks.open_memory_files(process)
    os.kill(process, signal.SIGKILL)
    poll_until(pool, lambda: len(done) == 1)
    assert done == [Outcome("done", zlib.crc32(payload))]


def test_nothing_is_left_open_however_calls_end(pool: PoolWorkers, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    hows: list[str] = []
    for number in range(500):
        call = tasks.fail_with if number % 5 == 0 else tasks.checksum
        pool.submit(
            call,
            timeout_s=LIMIT_S,
            on_done=lambda outcome: hows.append(outcome.how),
            payload=[bytes([number % 256]) * (LARGE + number)],
        )
        poll_until(pool, lambda most=number - 20: len(hows) > most)  # type: ignore[misc]
    poll_until(pool, lambda: len(hows) == 500)
    assert (hows.count("done"), hows.count("failed")) == (400, 100)
    worker = outcome_of(pool, tasks.process_id).value
    assert worker is not None
    assert tasks.open_memory_files(worker) == []
    assert 1 <= len(tasks.memory_files()) <= 22  # those that are kept for the next ones

    payload = [bytes(LARGE)]
    assert outcome_of(pool, tasks.sleep_with, timeout_s=0.2, payload=payload).how == "timed_out"
    assert outcome_of(pool, tasks.die_with, payload=payload).how == "died"
    _cancel_running(pool, tmp_path / "marker", payload)
    assert outcome_of(pool, tasks.memory_files).value == []
    pool.close()
    assert tasks.memory_files() == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_memory_that_a_call_holds_on_to_is_not_written_again(pool: PoolWorkers) -> None:
    payloads = [bytes([value]) * LARGE for value in range(5)]
    for payload in payloads[:2]:
        assert outcome_of(pool, tasks.keep, payload=[payload]).how == "done"
    for payload in payloads[2:]:
        seen = outcome_of(pool, tasks.checksum, payload=[payload]).value
        assert seen == zlib.crc32(payload)
    kept = outcome_of(pool, tasks.checksums_of_kept).value
    assert kept == [zlib.crc32(payload) for payload in payloads[:2]]


def test_memory_is_used_again_for_the_next_payload(pool: PoolWorkers) -> None:
    for value in range(20):
        payload = bytes([value]) * (LARGE - value)
        assert outcome_of(pool, tasks.checksum, payload=[payload]).value == zlib.crc32(payload)
    assert len(tasks.memory_files()) == 1


def test_without_a_descriptor_payloads_are_copied_and_counted(
    pool: PoolWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    payload = os.urandom(3_000_000)
    outcome_of(pool, tasks.process_id)  # its process is there
    with no_descriptor_left(), caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert outcome_of(pool, tasks.checksum, payload=[payload]).value == zlib.crc32(payload)
    assert pool.copied == 3
    assert caplog.text.count("copied to the worker processes, which is slower: [Errno 24]") == 1
    assert outcome_of(pool, tasks.checksum, payload=[payload]).value == zlib.crc32(payload)
    assert pool.copied == 3


def test_a_system_without_memory_files_copies(
    pool: PoolWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    payload = os.urandom(3_000_000)
    assert outcome_of(pool, tasks.checksum, payload=[payload]).value == zlib.crc32(payload)
    assert pool.copied == 1


def test_payloads_that_wait_take_a_bounded_number_of_descriptors(
    pool: PoolWorkers, tmp_path: Path
) -> None:
    marker, values = tmp_path / "marker", []
    ticket = pool.submit(tasks.mark_and_sleep, marker, timeout_s=LIMIT_S, on_done=_ignore)
    wait_for_text(marker)
    payloads = [number.to_bytes(4) * 20_000 for number in range(300)]
    for payload in payloads:
        pool.submit(
            tasks.checksum,
            timeout_s=LIMIT_S,
            on_done=lambda outcome: values.append(outcome.value),
            payload=[payload],
        )
    opened = len(tasks.memory_files())
    assert 0 < opened <= 256
    assert pool.copied == 300 - opened
    pool.cancel(ticket)
    poll_until(pool, lambda: len(values) == 300)
    assert values == [zlib.crc32(payload) for payload in payloads]


def test_a_killed_parent_leaves_no_worker_and_no_memory(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    command = [sys.executable, "-m", "tests.analyzer_service.workers.parent", str(marker)]
    with subprocess.Popen([*command, str(LARGE)]) as parent:
        worker = int(wait_for_text(marker))
        # No file of any folder: the kernel frees it with the last of the two processes.
        names = tasks.open_memory_files(worker)
        assert names
        assert all(name.endswith("/memfd:sidelight (deleted)") for name in names)
        parent.kill()
    deadline = time.monotonic() + LIMIT_S
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.01)


def _cancel_running(pool: PoolWorkers, marker: Path, payload: list[bytes]) -> None:
    hows: list[str] = []
    ticket = pool.submit(
        tasks.sleep_with_marked,
        marker,
        timeout_s=LIMIT_S,
        on_done=lambda outcome: hows.append(outcome.how),
        payload=payload,
    )
    wait_for_text(marker)
    pool.cancel(ticket)
    poll_until(pool, lambda: hows == ["cancelled"])


def _ignore(outcome: Outcome[object]) -> None:
    pass
