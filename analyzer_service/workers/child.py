"""A worker process: runs one call after the other, and ends with the process that started it.

Started as ``python -m analyzer_service.workers.child FD``; speaks over that descriptor with
`analyzer_service.workers.process`, its parent and the only one that it trusts.
"""

import os
import queue
import signal
import socket
import sys
import threading

from analyzer_service.workers.calling import READY, run_packed
from analyzer_service.workers.channel import Channel, Received
from shared.logs import FORMAT_VARIABLE, LoggedLines, log_to


def main(descriptor: int) -> None:
    """Serve calls from `descriptor` until it is closed at the other end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    _log_as_the_parent()
    channel = Channel(socket.socket(fileno=descriptor))
    calls: queue.SimpleQueue[Received] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(channel, calls), daemon=True).start()
    channel.send(READY)
    while True:
        channel.send(run_packed(*calls.get()))


def _log_as_the_parent() -> None:
    """What an analysis warns of or prints is of its parent's log, and must look like it."""
    if os.environ.get(FORMAT_VARIABLE) == "json":
        log_to(None, "json")
        sys.stdout = LoggedLines("stdout")


def _receive(channel: Channel, calls: "queue.SimpleQueue[Received]") -> None:
    """Take calls in; when the parent is gone, end at once, whatever is running."""
    try:
        while True:
            calls.put(channel.receive())
    except (EOFError, OSError):
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
