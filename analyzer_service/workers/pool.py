"""Workers as processes that can be killed: one thread a process, one connection each.

A process shares nothing with its siblings, so one that is killed at any moment, idle or in the
middle of a message, takes no lock and no queue with it.
"""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer_service.workers.memory_files import MemoryFile, MemoryFiles
from analyzer_service.workers.process import WorkerDiedError, WorkerProcess
from analyzer_service.workers.protocol import Outcome, T, Ticket, describe, failed
from analyzer_service.workers.turns import TurnQueue
from analyzer_service.workers.wakeup import Wakeup
from shared.codec import Buffer, join, size_of

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 2
_REMEMBERED_S: Final = 60.0
# Mapping a file takes longer than copying less.
_SMALLEST_FILE_BYTES: Final = 1 << 16
_CANCELLED: Final[Outcome[Any]] = Outcome("cancelled", error="cancelled")


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Worker processes: how many there are and may be for frames, how many calls run and wait.

    `lost` counts processes that ended, or were ended, before they gave a result.
    """

    size: int
    processes: int
    busy: int
    calls: int
    lost: int


@dataclass
class _Task:
    ticket: Ticket
    call: Callable[..., Any]
    args: tuple[Any, ...]
    timeout_s: float
    on_done: Callable[[Outcome[Any]], None]
    payload: bytes | MemoryFile | None
    lane: "_Lane"
    unmapped: bool = True
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass
class _Lane:
    """Calls that wait for the same processes, and the threads that own these."""

    queue: TurnQueue[_Task] = field(default_factory=TurnQueue)
    slots: "list[_Slot]" = field(default_factory=list)


class PoolWorkers:
    """At most `size` calls at once, each in a process of its own, and as many again apart.

    Processes are started with the first calls. See `Workers` for the rules.
    """

    def __init__(self, size: int = 1) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least one worker, got {size}")
        self._size = size
        self._tickets = itertools.count(1)
        self._tasks: dict[Ticket, _Task] = {}
        self._lanes = {False: _Lane(), True: _Lane()}
        self._outcomes: queue.SimpleQueue[tuple[_Task, Outcome[Any]]] = queue.SimpleQueue()
        self._files = MemoryFiles()
        self._wakeup = Wakeup()
        self._closed = False

    @property
    def size(self) -> int:
        """How many calls run at once."""
        return self._size

    @property
    def wakeup_fd(self) -> int:
        """Readable while there are outcomes for `poll`."""
        return self._wakeup.fileno()

    @property
    def copied(self) -> int:
        """Large payloads that were copied to a process, for want of memory that it could map."""
        return self._files.refused

    def counts(self) -> WorkerCounts:
        """What the processes do now; any thread may ask."""
        slots = [slot for lane in self._lanes.values() for slot in tuple(lane.slots)]
        return WorkerCounts(
            size=self._size,
            processes=sum(slot.started for slot in slots),
            busy=sum(slot.busy for slot in slots),
            calls=len(self._tasks),
            lost=sum(slot.lost for slot in slots),
        )

    def failing(self) -> bool:
        """Whether every process for frames was lost within the last minute, and none has worked
        since; any thread may ask.
        """
        slots = tuple(self._lanes[False].slots)
        return bool(slots) and all(slot.failing for slot in slots)

    def submit(
        self,
        call: Callable[..., T],
        *args: Any,
        timeout_s: float,
        on_done: Callable[[Outcome[T]], None],
        payload: Sequence[Buffer] | None = None,
        apart: bool = False,
        party: Hashable = None,
    ) -> Ticket:
        """Queue ``call(*args)``; a thread and its process are added while fewer than `size` are."""
        if self._closed:
            raise RuntimeError("the workers are closed")
        ticket = Ticket(next(self._tickets))
        lane = self._lanes[apart]
        task = _Task(ticket, call, args, timeout_s, on_done, self._keep(payload), lane)
        self._tasks[task.ticket] = task
        if len(lane.slots) < self._size and len(lane.slots) < self._count(lane):
            lane.slots.append(_Slot(lane.queue, self._finish))
        lane.queue.put(task, party)
        return task.ticket

    def poll(self) -> int:
        """Hand finished outcomes to their `on_done`, on this thread; return how many."""
        self._wakeup.clear()
        for count in itertools.count():
            try:
                task, outcome = self._outcomes.get_nowait()
            except queue.Empty:
                return count
            if self._tasks.pop(task.ticket, None) is not None:
                task.on_done(outcome)
        raise AssertionError  # not reached: the loop has no end of its own

    def cancel(self, ticket: Ticket) -> None:
        """End a call, running or not; nothing happens if it is done."""
        task = self._tasks.get(ticket)
        if task is None:
            return
        task.cancelled.set()
        for slot in task.lane.slots:
            slot.kill_if_running(task)

    def close(self, timeout_s: float = 10.0) -> None:
        """Kill what runs, drop what waits, and join the threads; may be repeated."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + timeout_s
        for ticket in list(self._tasks):
            self.cancel(ticket)
        for lane in self._lanes.values():
            lane.queue.close()
        slots = [slot for lane in self._lanes.values() for slot in lane.slots]
        for slot in slots:
            slot.close()
        for slot in slots:
            if not slot.join(max(0.0, deadline - time.monotonic())):
                logger.error("a worker did not end within %.1f s", timeout_s)
        self._tasks.clear()
        self._files.close()
        self._wakeup.close()

    def _count(self, lane: _Lane) -> int:
        return sum(task.lane is lane for task in self._tasks.values())

    def _keep(self, payload: Sequence[Buffer] | None) -> bytes | MemoryFile | None:
        """The payload where it stays until its call is over, so that it can be tried twice."""
        if payload is None:
            return None
        large = size_of(payload) >= _SMALLEST_FILE_BYTES
        return (self._files.put(payload) if large else None) or join(payload)

    def _finish(self, task: _Task, outcome: Outcome[Any]) -> None:
        if isinstance(task.payload, MemoryFile):
            self._files.give_back(task.payload, again=task.unmapped)
        self._outcomes.put((task, outcome))
        self._wakeup.set()


class _Slot:
    """A thread that owns one process and starts it again when it is lost."""

    def __init__(
        self,
        tasks: TurnQueue[_Task],
        finish: Callable[[_Task, Outcome[Any]], None],
    ) -> None:
        self._tasks = tasks
        self._finish = finish
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._running: _Task | None = None
        self._closing = False
        self.lost = 0
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._serve, name="worker", daemon=True)
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def busy(self) -> bool:
        """Whether a call runs in it."""
        return self._running is not None

    @property
    def failing(self) -> bool:
        """Whether its last attempt cost the process, a minute ago at most."""
        at = self._failed_at
        return at is not None and time.monotonic() - at < _REMEMBERED_S

    def kill_if_running(self, task: _Task) -> None:
        """Kill the process if it runs `task`."""
        with self._lock:
            if self._running is task and self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Let nothing new start, and kill what runs."""
        with self._lock:
            self._closing = True
            if self._process is not None:
                self._process.kill()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; tell whether it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                outcome = self._attempts(task)
            except Exception as error:  # the stage's edge: the pool must go on
                logger.exception("a worker failed in an unforeseen way")
                outcome = Outcome("died", error=describe(error))
                self._discard()
            self._finish(task, outcome)
        self._discard()

    def _attempts(self, task: _Task) -> Outcome[Any]:
        outcome: Outcome[Any] = _CANCELLED
        for _ in range(_ATTEMPTS):
            if task.cancelled.is_set() or self._closing:
                return _CANCELLED
            try:
                outcome = self._attempt(task)
            except WorkerDiedError as error:
                self._note_loss(task)
                self._discard()
                outcome = Outcome("died", error=describe(error))
                continue
            except OSError as error:  # no process could be started
                self._failed_at = time.monotonic()
                self._discard()
                outcome = failed(error, "died")
                continue
            self._failed_at = None
            if outcome.how == "timed_out":
                self.lost += 1
                self._discard()
            return outcome
        return _CANCELLED if task.cancelled.is_set() else outcome

    def _note_loss(self, task: _Task) -> None:
        if not (task.cancelled.is_set() or self._closing):
            self.lost += 1
            self._failed_at = time.monotonic()

    def _attempt(self, task: _Task) -> Outcome[Any]:
        process = self._ready_process()
        with self._lock:
            if task.cancelled.is_set() or self._closing:
                return _CANCELLED
            self._running = task
        task.unmapped = False
        try:
            answer = process.run(task.call, task.args, task.timeout_s, task.payload)
            task.unmapped = answer.unmapped
            return answer.outcome
        finally:
            with self._lock:
                self._running = None

    def _ready_process(self) -> WorkerProcess:
        if self._process is not None:
            return self._process
        process = WorkerProcess()
        with self._lock:
            self._process = process
            if self._closing:
                process.kill()
        process.wait_ready()
        return process

    def _discard(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.discard()
