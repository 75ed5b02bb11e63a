"""What `ClusterWorkers` do beyond the contract that all workers share."""

import logging
import os
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.cluster import admission, connection, roster
from analyzer_service.cluster import workers as cluster_module
from analyzer_service.cluster.installation import installation
from analyzer_service.cluster.outbox import CHUNKS_A_SLOT
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.workers import Outcome
from shared.errors import ConfigurationError
from tests.analyzer_service.cluster.own_cluster import cluster_process, worker_process
from tests.analyzer_service.workers import tasks
from tests.analyzer_service.workers.polling import (
    LIMIT_S,
    is_running,
    outcome_of,
    poll_until,
    wait_for_text,
)
from tests.analyzer_service.workers.remote import cluster_workers, dask_cluster

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with dask_cluster() as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def workers(scheduler: str) -> Iterator[ClusterWorkers]:
    made = cluster_workers(scheduler)
    yield made
    made.close()


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while is_running(process):
        assert time.monotonic() < deadline, f"{process} still runs"
        time.sleep(0.02)


def test_a_call_beyond_its_time_limit_is_killed_there(workers: ClusterWorkers) -> None:
    before = outcome_of(workers, tasks.process_id).value
    outcome = outcome_of(workers, tasks.sleep, timeout_s=0.3)
    assert outcome.how == "timed_out"
    assert "0.3 s" in (outcome.error or "")
    assert not is_running(before)
    assert outcome_of(workers, tasks.add, 1, 2).value == 3
    assert workers.counts().brought_back == 0


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_call_that_nobody_waits_for_any_more_is_killed_there(
    workers: ClusterWorkers, tmp_path: Path, how: str
) -> None:
    hows: list[str] = []
    ticket = workers.submit(
        tasks.mark_and_sleep,
        tmp_path / "marker",
        timeout_s=LIMIT_S,
        on_done=lambda outcome: hows.append(outcome.how),
    )
    workers.poll()
    process = int(wait_for_text(tmp_path / "marker"))
    if how == "cancel":
        workers.cancel(ticket)
        poll_until(workers, lambda: hows == ["cancelled"])
    else:
        workers.close()
        assert hows == []
    wait_until_gone(process)


def test_a_call_that_kills_its_process_is_tried_here_too(workers: ClusterWorkers) -> None:
    outcome = outcome_of(workers, tasks.die)
    assert outcome.how == "died"
    assert "signal 9" in (outcome.error or "")
    assert workers.counts().brought_back == 1


def test_a_value_that_is_none_of_the_promised_kind_is_a_failure(workers: ClusterWorkers) -> None:
    assert outcome_of(workers, tasks.unpicklable).how == "failed"


def test_calls_go_in_chunks_of_which_few_are_there_at_once(workers: ClusterWorkers) -> None:
    values: list[Any] = []
    busiest = 0

    def note(outcome: Outcome[int]) -> None:
        nonlocal busiest
        values.append(outcome.value)
        busiest = max(busiest, workers.counts().cluster_out)

    for number in range(200):
        workers.submit(tasks.add, number, 0, timeout_s=LIMIT_S, on_done=note)
    poll_until(workers, lambda: len(values) == 200)
    assert values == list(range(200))
    assert busiest <= CHUNKS_A_SLOT
    # Four at first, on a guess; then as many as are allowed, since these take no time.
    assert workers.counts().cluster_chunks <= 10
    assert workers.counts().cluster_calls == 200


def test_what_cannot_travel_runs_here(workers: ClusterWorkers) -> None:
    assert outcome_of(workers, tasks.length, b"four").value == 4
    here: list[int] = []
    workers.submit(
        tasks.process_id,
        timeout_s=LIMIT_S,
        on_done=lambda outcome: here.append(outcome.value or 0),
        apart=True,
    )
    poll_until(workers, lambda: len(here) == 1)
    assert workers.counts().cluster_calls == 0
    assert workers.counts().processes == 2


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_that_goes_is_done_without_until_it_is_back(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    end: signal.Signals,
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 1.0)
    go_on = threading.Event()
    payload = os.urandom(100_000)
    done: list[Outcome[int]] = []
    with ExitStack() as stack:
        address, process = stack.enter_context(cluster_process(tmp_path))
        workers = cluster_workers(address, wait=lambda *_: not go_on.wait(LIMIT_S))
        stack.callback(workers.close)
        for marker in (tmp_path / "first", tmp_path / "second"):
            workers.submit(
                tasks.checksum_on_second_try,
                marker,
                timeout_s=LIMIT_S,
                on_done=done.append,
                payload=[payload],
            )
        workers.poll()
        there = int(wait_for_text(tmp_path / "first"))
        (tmp_path / "second").touch()
        process.send_signal(end)
        poll_until(workers, lambda: len(done) == 2)
        assert [outcome.value for outcome in done] == [zlib.crc32(payload)] * 2
        counts = workers.counts()
        assert (counts.cluster_lost, counts.cluster_losses, counts.brought_back) == (True, 1, 2)
        said = [r.getMessage() for r in caplog.records if "given up" in r.getMessage()]
        assert len(said) == 1
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
        if end == signal.SIGKILL:
            wait_until_gone(there)
            stack.enter_context(cluster_process(tmp_path, int(address.rpartition(":")[2])))
        else:
            process.send_signal(signal.SIGCONT)
        go_on.set()
        poll_until(workers, lambda: workers.counts().cluster_slots == 1)
        before = workers.counts().cluster_calls
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
        assert workers.counts().cluster_calls == before + 1


def test_workers_may_come_later_and_those_of_another_version_get_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOOK_S", 0.1)
    with dask_cluster(0) as cluster, ExitStack() as stack:
        address = cluster.scheduler_address
        workers = cluster_workers(address)
        stack.callback(workers.close)
        assert "has no worker that can be used" in caplog.text
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
        other = "tests.analyzer_service.cluster.other_version"
        stack.enter_context(worker_process(address, preload=other))
        poll_until(workers, lambda: "numpy is 1.0 there" in caplog.text)
        assert workers.counts().cluster_slots == 0
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
        assert workers.counts().cluster_calls == workers.counts().brought_back == 0
        stack.enter_context(worker_process(address))
        poll_until(workers, lambda: workers.counts().cluster_slots == 1)
        for number in range(6):
            assert outcome_of(workers, tasks.add, number, 1).value == number + 1
        assert (workers.counts().cluster_calls, workers.counts().brought_back) == (6, 0)


def test_a_worker_that_hangs_loses_its_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "LOOK_S", 0.1)
    monkeypatch.setattr(connection, "ALL_WORKERS_S", 0.2)
    monkeypatch.setattr(connection, "PATIENCE_S", LIMIT_S)
    monkeypatch.setattr(roster, "SILENT_S", 3.0)
    payload, done = os.urandom(1000), list[Outcome[int]]()
    with dask_cluster(0) as cluster, ExitStack() as stack:
        process = stack.enter_context(worker_process(cluster.scheduler_address))
        workers = cluster_workers(cluster.scheduler_address)
        stack.callback(workers.close)
        poll_until(workers, lambda: workers.counts().cluster_slots == 1)
        workers.submit(
            tasks.checksum_on_second_try,
            tmp_path / "first",
            timeout_s=LIMIT_S,
            on_done=done.append,
            payload=[payload],
        )
        workers.poll()
        wait_for_text(tmp_path / "first")
        process.send_signal(signal.SIGSTOP)
        poll_until(workers, lambda: len(done) == 1)
        assert done[0].value == zlib.crc32(payload)
        assert "its dask worker is silent" in caplog.text


def test_other_versions_are_refused_in_words(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {**installation(), "numpy": "1.0", "scipy": "0.1"}
    monkeypatch.setattr(admission, "installation", lambda: ours)
    with pytest.raises(ConfigurationError) as caught:
        cluster_workers(scheduler)
    real = installation()
    assert f"numpy is {real['numpy']} there, 1.0 here" in str(caught.value)
    assert f"scipy is {real['scipy']} there, 0.1 here" in str(caught.value)


def test_another_processor_is_said_and_used(
    scheduler: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = {**installation(), "processor": "abacus"}
    monkeypatch.setattr(admission, "installation", lambda: ours)
    with caplog.at_level(logging.WARNING):
        workers = cluster_workers(scheduler)
    assert outcome_of(workers, tasks.add, 1, 2).value == 3
    workers.close()
    assert "the last digits of results may differ" in caplog.text


def test_a_worker_of_another_version_that_joins_later_is_not_heard(
    workers: ClusterWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cluster_module, "digest", lambda _: "another")
    for _ in range(3):
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
    assert workers.counts().cluster_calls == 0
    assert workers.counts().brought_back == 3
    assert caplog.text.count("another version of Sidelight") == 1


def test_an_address_without_a_scheduler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "CONNECT_S", 0.3)
    with pytest.raises(ConfigurationError, match="no dask scheduler can be reached there"):
        cluster_workers("tcp://127.0.0.1:9")
