"""A cluster that is lost is asked again, and used again when it answers and fits."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, ClassVar, cast

import pytest

from analyzer_service.cluster import link
from analyzer_service.cluster.chunks import AnsweredCall, AnsweredChunk, pack_answered
from analyzer_service.cluster.connection import Answer, Connection, Listener
from analyzer_service.cluster.link import Answered, Link, Lost
from analyzer_service.cluster.outbox import BYTES_A_SLOT, MOST_BYTES
from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.receive.machines import budget_bytes
from analyzer_service.receive.replay import BUDGET_BYTES
from analyzer_service.workers import Outcome, PoolWorkers
from shared.errors import ConfigurationError
from tests.analyzer_service.workers import tasks
from tests.analyzer_service.workers.polling import LIMIT_S, outcome_of, poll_until
from tests.analyzer_service.workers.remote import REMOTE

SETTINGS = ClusterSettings("tcp://127.0.0.1:8786")


class FakeConnection:
    """Connects as `plan` says, a callable an attempt; answers as `answers` say, a chunk each."""

    made: ClassVar[list["FakeConnection"]] = []
    plan: ClassVar[list[Callable[["FakeConnection"], None]]] = []
    answers: ClassVar[list[Answer]] = []

    def __init__(self, settings: ClusterSettings, listener: Listener) -> None:
        self.listener = listener
        self.slots, self.lost, self.closed = 2, False, threading.Event()
        self.strict: bool | None = None
        self.hangs = threading.Event()
        self.sent: list[int] = []
        self.made.append(self)

    def connect(self, *, strict: bool) -> None:
        self.strict = strict
        try:
            self.plan.pop(0)(self)
        except BaseException:
            self.close()
            raise

    def send(self, number: int, header: bytes, payloads: Any) -> None:
        self.sent.append(number)
        if self.answers:
            self.listener.answered(number, self.answers.pop(0))

    def cancel(self, number: int) -> None:
        pass

    def close(self) -> None:
        self.closed.set()

    def lose(self) -> None:
        self.lost = True
        self.listener.lost(cast(Connection, self), "it went away")


def works(connection: FakeConnection) -> None:
    pass


def refuses(connection: FakeConnection) -> None:
    raise ConfigurationError("its scheduler has other versions")


def breaks(connection: FakeConnection) -> None:
    raise RuntimeError("can't start new thread")


def hangs(connection: FakeConnection) -> None:
    connection.hangs.set()
    connection.listener.changed()
    assert connection.closed.wait(LIMIT_S)
    raise ConfigurationError("it did not say in time what is installed there")


class Pauses:
    """A `Wait` in which time passes when the test says so."""

    def __init__(self) -> None:
        self.asked: queue.Queue[float] = queue.Queue()
        self.over: queue.Queue[bool] = queue.Queue()

    def __call__(self, pause_s: float, ended: threading.Event) -> bool:
        self.asked.put(pause_s)
        while not ended.is_set():
            try:
                return self.over.get(timeout=0.02)
            except queue.Empty:
                continue
        return True

    def pass_by(self) -> float:
        """Wait for the next pause, and let it be over."""
        pause_s = self.asked.get(timeout=LIMIT_S)
        self.over.put(False)
        return pause_s


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pauses]:
    monkeypatch.setattr(link, "Connection", FakeConnection)
    FakeConnection.made, FakeConnection.plan, FakeConnection.answers = [], [works], []
    yield Pauses()
    assert all(made.closed.is_set() for made in FakeConnection.made), "a connection is left open"
    assert not [each for each in threading.enumerate() if each.name == "return"]


def events_until(found: Link, changed: threading.Event, reached: Callable[[], bool]) -> list[Any]:
    events: list[Any] = []
    while True:
        changed.clear()
        events += found.take()
        if reached():
            return events
        assert changed.wait(LIMIT_S), "nothing came"


def test_it_is_asked_after_longer_and_longer_pauses_until_it_fits(pauses: Pauses) -> None:
    changed = threading.Event()
    found = Link(SETTINGS, changed.set, wait=pauses)
    with closing_link(found):
        first = FakeConnection.made[0]
        assert (first.strict, found.slots) == (True, 2)
        FakeConnection.plan = [refuses, breaks, refuses, refuses, refuses, works]
        first.lose()
        assert list(found.take()) == [Lost()]
        assert (found.lost, found.slots, found.losses) == (True, 0, 1)
        assert [pauses.pass_by() for _ in range(6)] == [30, 60, 120, 240, 300, 300]
        events_until(found, changed, lambda: not found.lost)
        last = FakeConnection.made[-1]
        assert (len(FakeConnection.made), last.strict, found.slots) == (7, False, 2)
        number = found.send(b"", [])
        assert last.sent == [number]
        assert all(made.closed.is_set() for made in FakeConnection.made[:-1])


def test_one_that_is_lost_again_at_once_is_asked_later_and_one_that_worked_soon(
    pauses: Pauses,
) -> None:
    changed = threading.Event()
    found = Link(SETTINGS, changed.set, wait=pauses)
    with closing_link(found):
        for worked, expected in ((False, 30), (False, 60), (True, 30), (False, 60)):
            if worked:
                found.worked()
            FakeConnection.plan = [works]
            FakeConnection.made[-1].lose()
            assert list(found.take()) == [Lost()]
            assert pauses.pass_by() == expected
            events_until(found, changed, lambda: not found.lost)
        assert found.losses == 4


def test_one_that_is_lost_before_anybody_heard_of_it_is_not_used(pauses: Pauses) -> None:
    changed = threading.Event()
    found = Link(SETTINGS, changed.set, wait=pauses)
    with closing_link(found):
        FakeConnection.plan = [FakeConnection.lose, works]
        FakeConnection.made[0].lose()
        assert list(found.take()) == [Lost()]
        pauses.pass_by()
        lost_again = pauses.asked
        while lost_again.empty():
            changed.wait(0.05)
            changed.clear()
            assert list(found.take()) == []
        assert found.lost
        assert pauses.pass_by() == 60
        events_until(found, changed, lambda: not found.lost)
        assert found.losses == 1


def test_no_answer_of_a_lost_connection_is_taken_for_one_of_the_next(pauses: Pauses) -> None:
    changed = threading.Event()
    found = Link(SETTINGS, changed.set, wait=pauses)
    with closing_link(found):
        first = FakeConnection.made[0]
        before = found.send(b"", [])
        FakeConnection.plan = [works]
        first.lose()
        list(found.take())
        pauses.pass_by()
        events_until(found, changed, lambda: not found.lost)
        after = found.send(b"", [])
        first.listener.answered(before, b"late")
        assert list(found.take()) == [Answered(before, b"late")]
        assert after != before


@pytest.mark.parametrize("at", ["pause", "attempt", "found"])
def test_closing_ends_the_way_back_wherever_it_is(pauses: Pauses, at: str) -> None:
    changed = threading.Event()
    found = Link(SETTINGS, changed.set, wait=pauses)
    FakeConnection.plan = [hangs if at == "attempt" else works]
    FakeConnection.made[0].lose()
    list(found.take())
    if at == "pause":
        pauses.asked.get(timeout=LIMIT_S)
    else:
        changed.clear()
        pauses.pass_by()
        assert changed.wait(LIMIT_S)
        assert FakeConnection.made[-1].hangs.is_set() == (at == "attempt")
    found.close(LIMIT_S)


def closing_link(found: Link) -> Any:
    class Closed:
        def close(self) -> None:
            found.close(LIMIT_S)

    return closing(Closed())


GARBAGE: list[Answer] = [
    *(b"", b"\xc1", b"garbage" * 10, RuntimeError("dask gave it up")),
    cast(bytes, None),
    cast(bytes, {"answers": 3}),
    pack_answered(AnsweredChunk()),
    pack_answered(AnsweredChunk((AnsweredCall("done", 3),) * 9)),
    pack_answered(AnsweredChunk(refused="another version")),
    pack_answered(AnsweredChunk((AnsweredCall("died", error="signal 9"),))),
    pack_answered(AnsweredChunk((AnsweredCall("failed", error="MemoryError"),))),
]


def test_whatever_a_cluster_answers_the_results_are_those_of_this_machine(
    pauses: Pauses,
) -> None:
    with closing(ClusterWorkers(SETTINGS, PoolWorkers(1), REMOTE, wait=pauses)) as workers:
        for number, answer in enumerate(GARBAGE):
            FakeConnection.answers = [answer]
            assert outcome_of(workers, tasks.add, number, 1).value == number + 1
        assert workers.counts().brought_back == len(GARBAGE)
        assert workers.counts().cluster_calls == 0


def test_a_call_that_cannot_be_packed_runs_here(pauses: Pauses) -> None:
    with closing(ClusterWorkers(SETTINGS, PoolWorkers(1), REMOTE, wait=pauses)) as workers:
        assert outcome_of(workers, tasks.add, 1 << 70, 1).value == (1 << 70) + 1
        assert workers.counts().brought_back == 1


def test_a_replay_may_have_more_in_work_as_workers_join(pauses: Pauses) -> None:
    with closing(PoolWorkers(4)) as here:
        assert budget_bytes(here) == BUDGET_BYTES
    with closing(ClusterWorkers(SETTINGS, PoolWorkers(1), REMOTE, wait=pauses)) as workers:
        found = []
        for FakeConnection.made[0].slots in (0, 8, 1000):
            found.append(budget_bytes(workers))
        assert found == [BUDGET_BYTES, 8 * BYTES_A_SLOT, MOST_BYTES]


def test_without_a_worker_everything_runs_here_at_once(pauses: Pauses) -> None:
    with closing(ClusterWorkers(SETTINGS, PoolWorkers(1), REMOTE, wait=pauses)) as workers:
        done: list[Outcome[int]] = []
        for number in range(20):  # some are sent, and some wait
            workers.submit(tasks.add, number, 0, timeout_s=LIMIT_S, on_done=done.append)
        workers.poll()
        assert workers.counts().cluster_out > 0
        FakeConnection.made[0].slots = 0
        FakeConnection.made[0].listener.changed()
        poll_until(workers, lambda: len(done) == 20)
        assert sorted(outcome.value or 0 for outcome in done) == list(range(20))
        assert (workers.counts().cluster_out, workers.counts().brought_back) == (0, 20)
        assert outcome_of(workers, tasks.add, 1, 1).value == 2
        assert workers.counts().brought_back == 20, "what never went there is not brought back"
