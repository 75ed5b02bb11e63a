"""An ingest loop on a thread of the test's process, over real sockets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analyzer_service.pipeline import PipelineSettings
from analyzer_service.receive.loop import IngestLoop
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.receive.seams import SessionSettings
from analyzer_service.workers import InlineWorkers, Workers
from shared.transport.addresses import Address
from shared.transport.server import RouterPair
from tests.analyzer_service.pipeline.stubs import CALLS

STUBS = PipelineSettings(calls=CALLS, end_grace_s=0.0)
QUICK = {"silence_limit_s": 0.3, "producer_timeout_s": 0.6, "heartbeat_interval_s": 0.05}
DEADLINE_S = 60.0


class Running:
    """A loop that runs; `join` waits for its own end, `stop` asks for it."""

    def __init__(self, loop: IngestLoop) -> None:
        self.loop = loop
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.loop.stop()
        self.join()

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the loop did not end"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self.loop.run(grace_s=10.0)
        except BaseException as error:
            self.error = error


@contextmanager
def analyzer(
    address: Address,
    output: Path,
    *,
    sessions: dict[str, Any] | None = None,
    once: bool = False,
    parent_pid: int | None = None,
    workers: Workers | None = None,
    **runs: Any,
) -> Iterator[Running]:
    workers = workers or InlineWorkers()
    sessions = sessions or {}
    timeout_s = sessions.get("producer_timeout_s", 30.0)
    settings = {"pipeline": STUBS, "producer_timeout_s": timeout_s} | runs
    running = Running(
        IngestLoop(
            RouterPair(address),
            workers,
            RunsSettings(output, **settings),
            SessionSettings(**sessions),
            once=once,
            parent_pid=parent_pid,
        )
    )
    try:
        yield running
    finally:
        running.stop()
        workers.close()
