"""Submits to workers and waits for outcomes, and for what processes say in files."""

import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer_service.workers import Outcome, Workers

LIMIT_S = 60.0


def outcome_of(
    workers: Workers,
    call: Callable[..., Any],
    *args: Any,
    timeout_s: float = LIMIT_S,
    payload: Any = None,
) -> Outcome[Any]:
    done: list[Outcome[Any]] = []
    workers.submit(call, *args, timeout_s=timeout_s, on_done=done.append, payload=payload)
    poll_until(workers, lambda: len(done) == 1)
    return done[0]


def poll_until(workers: Workers, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        select.select([workers.wakeup_fd], [], [], 1.0)
        workers.poll()
        assert time.monotonic() < deadline, "no outcome in time"


def wait_for_text(path: Path) -> str:
    deadline = time.monotonic() + LIMIT_S
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.01)
    return path.read_text()


def is_running(process: int | None) -> bool:
    """A process that is there; one that only waits to be reaped by another is not."""
    assert process is not None
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
