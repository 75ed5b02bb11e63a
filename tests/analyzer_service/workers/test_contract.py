"""The `Workers` contract over its implementations, and what only processes can do."""

import errno
import os
import select
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.workers import InlineWorkers, Outcome, PoolWorkers, Workers
from analyzer_service.workers.pool import WorkerCounts
from tests.analyzer_service.workers import tasks
from tests.analyzer_service.workers.polling import (
    LIMIT_S,
    is_running,
    outcome_of,
    poll_until,
    wait_for_text,
)
from tests.analyzer_service.workers.remote import cluster_workers, dask_cluster


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a dask scheduler that has one worker."""
    with dask_cluster() as cluster:
        yield cluster.scheduler_address


@pytest.fixture(params=["inline", "pool", "cluster"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    made: Workers
    if request.param == "cluster":
        made = cluster_workers(request.getfixturevalue("scheduler"))
    else:
        made = InlineWorkers() if request.param == "inline" else PoolWorkers(2)
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[PoolWorkers]:
    made = PoolWorkers(1)
    yield made
    made.close()


def test_a_result_comes_on_the_thread_that_polls(workers: Workers) -> None:
    seen: list[tuple[int | None, str, int]] = []

    def on_done(outcome: Outcome[int]) -> None:
        seen.append((outcome.value, outcome.how, threading.get_ident()))

    workers.submit(tasks.add, 2, 3, timeout_s=LIMIT_S, on_done=on_done)
    assert seen == []
    poll_until(workers, lambda: len(seen) == 1)
    assert seen == [(5, "done", threading.get_ident())]


def test_the_descriptor_tells_when_to_poll(workers: Workers) -> None:
    done: list[Outcome[int]] = []
    workers.submit(tasks.add, 1, 1, timeout_s=LIMIT_S, on_done=done.append)
    counted = 0
    while not done:
        readable, _, _ = select.select([workers.wakeup_fd], [], [], LIMIT_S)
        assert readable
        counted += workers.poll()
    assert counted == len(done) == 1
    assert select.select([workers.wakeup_fd], [], [], 0) == ([], [], [])


def test_an_exception_is_an_outcome_in_one_line(workers: Workers) -> None:
    outcome = outcome_of(workers, tasks.fail)
    assert (outcome.how, outcome.error) == ("failed", "ValueError: on purpose")
    assert outcome_of(workers, tasks.add, 1, 2).value == 3


def test_an_outcome_tells_whether_the_system_is_to_blame(workers: Workers) -> None:
    outcome = outcome_of(workers, tasks.fill_disk)
    assert (outcome.how, outcome.errno) == ("failed", errno.ENOSPC)
    assert outcome_of(workers, tasks.fail).errno is None


def test_many_calls_each_have_oneoutcome_of(workers: Workers) -> None:
    values: list[int | None] = []
    for number in range(50):
        workers.submit(
            tasks.add, number, 0, timeout_s=LIMIT_S, on_done=lambda o: values.append(o.value)
        )
    poll_until(workers, lambda: len(values) == 50)
    assert sorted(values) == list(range(50))  # type: ignore[type-var]


@pytest.mark.parametrize("nbytes", [0, 10, 3_000_000])
def test_a_call_reads_its_payload(workers: Workers, nbytes: int) -> None:
    payload = os.urandom(nbytes)
    parts = [payload[: nbytes // 3], memoryview(payload)[nbytes // 3 :]]
    assert outcome_of(workers, tasks.checksum, payload=parts).value == zlib.crc32(payload)
    assert outcome_of(workers, tasks.is_read_only, payload=parts).value


@pytest.mark.parametrize("nbytes", [10, 3_000_000])
def test_a_payload_may_change_once_it_is_submitted(workers: Workers, nbytes: int) -> None:
    buffer, seen = bytearray(nbytes), []
    for value in (1, 2, 3):
        buffer[:] = bytes([value]) * nbytes
        workers.submit(
            tasks.checksum,
            timeout_s=LIMIT_S,
            on_done=lambda outcome: seen.append(outcome.value),
            payload=[buffer],
        )
    buffer[:] = bytes(nbytes)
    poll_until(workers, lambda: len(seen) == 3)
    assert set(seen) == {zlib.crc32(bytes([value]) * nbytes) for value in (1, 2, 3)}


def test_a_call_that_waits_can_be_cancelled(workers: Workers) -> None:
    outcomes: list[str] = []
    tickets = [
        workers.submit(tasks.add, 1, 1, timeout_s=LIMIT_S, on_done=lambda o: outcomes.append(o.how))
        for _ in range(20)
    ]
    workers.cancel(tickets[-1])
    poll_until(workers, lambda: len(outcomes) == 20)
    assert outcomes.count("cancelled") == 1
    workers.cancel(tickets[-1])
    assert workers.poll() == 0


def test_closing_drops_what_waits(workers: Workers) -> None:
    outcomes: list[str] = []
    workers.submit(tasks.add, 1, 1, timeout_s=LIMIT_S, on_done=lambda o: outcomes.append(o.how))
    workers.close()
    workers.close()
    assert outcomes == []


def test_a_call_beyond_its_time_limit_is_killed(pool: PoolWorkers) -> None:
    before = outcome_of(pool, tasks.process_id).value
    outcome = outcome_of(pool, tasks.sleep, timeout_s=0.2)
    assert outcome.how == "timed_out"
    assert "0.2 s" in (outcome.error or "")
    assert not is_running(before)
    assert outcome_of(pool, tasks.add, 1, 2).value == 3


def test_a_killed_worker_is_replaced_and_its_call_tried_again(
    pool: PoolWorkers, tmp_path: Path
) -> None:
    assert outcome_of(pool, tasks.die_once, tmp_path / "marker").value == "alive"
    outcome = outcome_of(pool, tasks.die)
    assert outcome.how == "died"
    assert "signal 9" in (outcome.error or "")
    assert outcome_of(pool, tasks.add, 1, 2).value == 3


def test_workers_are_counted_with_those_that_were_lost(pool: PoolWorkers, tmp_path: Path) -> None:
    assert pool.counts() == WorkerCounts(size=pool.size, processes=0, busy=0, calls=0, lost=0)
    assert outcome_of(pool, tasks.die_once, tmp_path / "marker").value == "alive"
    assert (pool.counts().processes, pool.counts().lost) == (1, 1)
    assert outcome_of(pool, tasks.sleep, timeout_s=0.2).how == "timed_out"
    assert (pool.counts().calls, pool.counts().lost) == (0, 2)
    ticket = pool.submit(
        tasks.mark_and_sleep, tmp_path / "at_work", timeout_s=LIMIT_S, on_done=lambda _: None
    )
    wait_for_text(tmp_path / "at_work")
    assert (pool.counts().busy, pool.counts().calls) == (1, 1)
    pool.cancel(ticket)
    poll_until(pool, lambda: pool.counts().calls == pool.counts().busy == 0)
    assert pool.counts().lost == 2, "a call that was cancelled is no loss"


def test_a_worker_killed_while_idle_is_replaced(pool: PoolWorkers) -> None:
    first = outcome_of(pool, tasks.process_id).value
    assert first is not None
    os.kill(first, signal.SIGKILL)
    second = outcome_of(pool, tasks.process_id).value
    assert second not in (None, first)


def test_a_running_call_can_be_cancelled(pool: PoolWorkers, tmp_path: Path) -> None:
    outcomes: list[str] = []
    marker = tmp_path / "marker"
    ticket = pool.submit(
        tasks.mark_and_sleep, marker, timeout_s=LIMIT_S, on_done=lambda o: outcomes.append(o.how)
    )
    process = wait_for_text(marker)
    pool.cancel(ticket)
    poll_until(pool, lambda: outcomes == ["cancelled"])
    assert not is_running(int(process))


def test_closing_kills_what_runs_in_time(tmp_path: Path) -> None:
    pool = PoolWorkers(2)
    markers = [tmp_path / "one", tmp_path / "two"]
    for marker in markers:
        pool.submit(tasks.mark_and_sleep, marker, timeout_s=LIMIT_S, on_done=_ignore)
    processes = [int(wait_for_text(marker)) for marker in markers]
    start = time.monotonic()
    pool.close(timeout_s=10.0)
    assert time.monotonic() - start < 5.0
    assert not any(map(is_running, processes))
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(tasks.add, 1, 1, timeout_s=1.0, on_done=_ignore)


def test_a_stopped_worker_is_killed_at_the_limit(pool: PoolWorkers) -> None:
    process = outcome_of(pool, tasks.process_id).value
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    assert outcome_of(pool, tasks.add, 1, 1, timeout_s=0.3).how == "timed_out"
    assert not is_running(process)


def test_workers_ignore_ctrl_c(pool: PoolWorkers) -> None:
    process = outcome_of(pool, tasks.process_id).value
    assert process is not None
    os.kill(process, signal.SIGINT)
    assert outcome_of(pool, tasks.process_id).value == process


def test_an_exit_or_an_odd_result_is_a_failure(pool: PoolWorkers) -> None:
    assert outcome_of(pool, tasks.leave).error == "SystemExit: 3"
    assert outcome_of(pool, tasks.unpicklable).how == "failed"
    assert outcome_of(pool, lambda: 1).how == "failed"


def test_large_arguments_arrive_whole(pool: PoolWorkers) -> None:
    assert outcome_of(pool, tasks.length, bytes(20_000_000)).value == 20_000_000


def test_workers_have_one_math_thread(pool: PoolWorkers) -> None:
    assert outcome_of(pool, tasks.threads).value == {"omp": "1", "cv2": 1}


def test_the_folder_one_stands_in_hides_no_module(
    pool: PoolWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "shared.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert outcome_of(pool, tasks.add, 1, 2).value == 3


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    command = [sys.executable, "-m", "tests.analyzer_service.workers.parent", str(marker)]
    with subprocess.Popen(command) as parent:
        worker = int(wait_for_text(marker))
        parent.kill()
    deadline = time.monotonic() + LIMIT_S
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.01)


def _ignore(outcome: Outcome[Any]) -> None:
    pass


def test_calls_apart_share_no_process_with_others(pool: PoolWorkers) -> None:
    done: list[tuple[bool, int]] = []
    for apart in (False, True) * 4:
        pool.submit(
            os.getpid,
            timeout_s=LIMIT_S,
            on_done=lambda outcome, apart=apart: done.append((apart, outcome.value)),
            apart=apart,
        )
    poll_until(pool, lambda: len(done) == 8)
    of = {apart: {pid for where, pid in done if where == apart} for apart in (False, True)}
    assert [len(pids) for pids in of.values()] == [1, 1], "the pool has one process for each"
    assert of[False] != of[True]


def test_calls_apart_that_hang_hold_nobody_up(pool: PoolWorkers, tmp_path: Path) -> None:
    ended: list[Outcome[None]] = []
    marker = tmp_path / "hangs"
    ticket = pool.submit(
        tasks.mark_and_sleep, marker, timeout_s=LIMIT_S, on_done=ended.append, apart=True
    )
    pid = int(wait_for_text(marker))
    assert outcome_of(pool, tasks.add, 1, 2).value == 3
    assert is_running(pid)
    assert ended == []
    pool.cancel(ticket)
    poll_until(pool, lambda: len(ended) == 1)
    assert ended[0].how == "cancelled"
