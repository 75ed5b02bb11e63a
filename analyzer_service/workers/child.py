"""A worker process: runs one call after the other, and ends with the process that started it.

Started as ``python -m analyzer_service.workers.child FD``; speaks over that descriptor with
`analyzer_service.workers.process`, its parent and the only one that it trusts.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from analyzer_service.workers.protocol import READY, Outcome, describe


def main(descriptor: int) -> None:
    """Serve calls from `descriptor` until it is closed at the other end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    connection = Connection(descriptor)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, calls), daemon=True).start()
    connection.send_bytes(READY)
    while True:
        connection.send_bytes(_run(calls.get()))


def _receive(connection: Connection, calls: "queue.SimpleQueue[bytes]") -> None:
    """Take calls in; when the parent is gone, end at once, whatever is running."""
    try:
        while True:
            calls.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _run(pickled: bytes) -> bytes:
    try:
        call: Callable[..., Any]
        call, args = pickle.loads(pickled)
        return pickle.dumps(Outcome("done", call(*args)), protocol=5)
    except BaseException as error:
        return pickle.dumps(Outcome("failed", error=describe(error)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
