"""The side of a dask worker: runs chunks of calls in child processes that it can kill.

A thread of the dask worker runs one chunk at a time, call by call, in a child of its own: so time
limits hold as they do on the analyzer's machine, and what dies is a child, not the dask worker.
"""

import queue
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from analyzer_service.cluster.chunks import (
    AnsweredCall,
    AnsweredChunk,
    AskedCall,
    pack_answered,
    unpack_asked,
)
from analyzer_service.cluster.installation import digest, installation
from analyzer_service.cluster.remote import resolve_call
from analyzer_service.workers.pool import PoolWorkers
from analyzer_service.workers.protocol import Outcome, describe
from shared.codec import Buffer
from shared.errors import ContractError

_LOOK_MS: Final = 250
_idle: "queue.SimpleQueue[PoolWorkers]" = queue.SimpleQueue()


def describe_installation() -> dict[str, str]:
    """`installation` of the machine that runs this, as a dict that travels."""
    return dict(installation())


def run_chunk(header: bytes, *payloads: Buffer) -> bytes:
    """Answers to the calls of `header`, in order; never raises for what a call does."""
    try:
        asked = unpack_asked(header)
        if asked.installation != digest(installation()):
            refused = "another version of Sidelight, Python or a package is installed there"
            return pack_answered(AnsweredChunk(refused=refused))
        rest = iter(payloads)
        given = [[next(rest)] if each.has_payload else None for each in asked.calls]
        with _child() as child:
            pairs = zip(asked.calls, given, strict=True)
            return pack_answered(AnsweredChunk(tuple(_run(child, *pair) for pair in pairs)))
    except ContractError as error:
        return pack_answered(AnsweredChunk(refused=str(error)))


@contextmanager
def _child() -> Iterator[PoolWorkers]:
    """A pool of one process for this chunk alone; it is used again by the next one."""
    try:
        child = _idle.get_nowait()
    except queue.Empty:
        child = PoolWorkers(1)
    try:
        yield child
    except BaseException:
        child.close()
        raise
    _idle.put(child)


def _run(child: PoolWorkers, asked: AskedCall, payload: Sequence[Buffer] | None) -> AnsweredCall:
    call = resolve_call(asked.name)
    began = time.perf_counter()
    done: list[Outcome[Any]] = []
    ticket = child.submit(
        timed,
        call.function,
        *call.unpack_args(asked.args),
        timeout_s=asked.timeout_s,
        on_done=done.append,
        payload=payload,
    )
    waiting = select.poll()  # select knows no descriptor above 1023, and a dask worker has many
    waiting.register(child.wakeup_fd, select.POLLIN)
    while not done:
        waiting.poll(_LOOK_MS)
        if not child.poll() and not _is_wanted():
            child.cancel(ticket)
    took_ms = 1000 * (time.perf_counter() - began)
    outcome = done[0]
    if outcome.how != "done":
        return AnsweredCall(outcome.how, None, outcome.error, outcome.errno, took_ms)
    assert outcome.value is not None, "it is done"
    value, took_ms = outcome.value
    try:
        return AnsweredCall("done", call.pack_value(value), took_ms=took_ms)
    except Exception as error:  # the value is none that the call promised
        return AnsweredCall("failed", error=describe(error), took_ms=took_ms)


def timed(*given: Any) -> tuple[Any, float]:
    """In the child: what a function returns, and its processor time in milliseconds.

    Not the time that passed: where others have the processor meanwhile, chunks would get small,
    and their ways would take still more of it.
    """
    payload = given[:1] if isinstance(given[0], memoryview) else ()
    function, *args = given[len(payload) :]
    began = time.process_time()
    value = function(*payload, *args)
    return value, 1000 * (time.process_time() - began)


def _is_wanted() -> bool:
    """Whether anybody still waits for the task that this thread runs."""
    from distributed.worker import thread_state

    key = getattr(thread_state, "key", None)
    state = getattr(thread_state, "execution_state", None)
    if key is None or state is None:
        return True
    task = state["worker"].state.tasks.get(key)
    return task is not None and task.state != "cancelled"
