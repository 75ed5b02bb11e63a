"""The way back to a cluster that was lost: it is asked again, after longer and longer pauses."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final

from analyzer_service.cluster.connection import Connection

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 300.0

Wait = Callable[[float, threading.Event], bool]
"""Waits for so many seconds, or until the event is set; tells whether it is."""


def pauses() -> Iterator[float]:
    """Seconds before each attempt, without an end.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(pauses(), 6))
    [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    """
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def wait(pause_s: float, ended: threading.Event) -> bool:
    """As `Wait` says, by the clock."""
    return ended.wait(pause_s)


class Return:
    """Leaves a connection that is lost and tries new ones, on a thread of its own.

    Parameters
    ----------
    lost : Connection
        Closed first: a scheduler that is gone may take seconds to be left.
    make : callable
        Makes a connection that has not been opened yet.
    on_back : callable
        Gets the first one that can be used, on the other thread; the last thing that happens.
    pauses : iterator of float
        Seconds before each attempt.
    wait : callable
        How they are waited for.
    """

    def __init__(
        self,
        lost: Connection,
        make: Callable[[], Connection],
        on_back: Callable[[Connection], None],
        *,
        pauses: Iterator[float],
        wait: Wait,
    ) -> None:
        self._lost = lost
        self._make = make
        self._on_back = on_back
        self._pauses = pauses
        self._wait = wait
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._trying: Connection | None = None
        self._reason: str | None = None
        self._thread = threading.Thread(target=self._run, name="return", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Try no more, and close what was tried."""
        self._ended.set()
        with self._lock:
            trying = self._trying
        if trying is not None:
            trying.close()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._lost.close()
        for pause_s in self._pauses:
            if self._wait(pause_s, self._ended):
                return
            connection = self._attempt()
            if connection is not None:
                self._on_back(connection)
                return

    def _attempt(self) -> Connection | None:
        try:
            with self._lock:
                if self._ended.is_set():
                    return None
                self._trying = connection = self._make()
            connection.connect(strict=False)
        except Exception as error:  # the thread's edge: whatever it is, it is tried again
            if str(error) != self._reason and not self._ended.is_set():
                self._reason = str(error)
                logger.warning("the cluster is not back yet: %s", error)
            return None
        return connection
