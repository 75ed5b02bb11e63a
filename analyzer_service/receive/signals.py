"""How signals end `serve` and `replay`: the first in order; the second, or too late, at once."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

logger = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LONGEST_RESERVE_S: Final = 2.0


def drain_s(grace_s: float) -> float:
    """Seconds of a grace period for what is at work; the rest is for closing everything.

    Examples
    --------
    >>> drain_s(20.0), drain_s(4.0)
    (18.0, 3.0)
    """
    return grace_s - min(_LONGEST_RESERVE_S, grace_s / 4)


class Deadline:
    """Ends this process `grace_s` after `start`, unless it is closed before.

    Whoever sent the signal would kill it soon after, and nothing would say why. All that was
    acknowledged is committed, so nothing is lost by it.
    """

    def __init__(self, grace_s: float, end: Callable[[int], object] = os._exit) -> None:
        self._grace_s = grace_s
        self._end = end
        self._timer: threading.Timer | None = None

    def start(self, code: int) -> None:
        """Begin to count; a signal handler may call it."""
        self._timer = threading.Timer(self._grace_s, self._over, (code,))
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """All is through."""
        if self._timer is not None:
            self._timer.cancel()

    def _over(self, code: int) -> None:
        logger.warning(
            "not through within --grace %g s: ended at once; what is committed stays, trainers "
            "keep the rest, and the next analyzer of this output folder goes on",
            self._grace_s,
        )
        self._end(code)


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C has come; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """The first SIGTERM or SIGINT raises `Stopped`, the second ends the process at once."""

    def stop(number: int) -> None:
        raise Stopped(number)

    with _handled(stop):
        yield


@contextmanager
def ended_by_signals(stop: Callable[[], None], deadline: Deadline) -> Iterator[None]:
    """The first SIGTERM or SIGINT calls `stop`, the second ends the process at once."""

    def end(number: int) -> None:
        stop()
        deadline.start(128 + number)

    with _handled(end):
        yield


@contextmanager
def _handled(first: Callable[[int], None]) -> Iterator[None]:
    """Meanwhile, `first` is called with the number of the first signal."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if seen:
            os._exit(128 + number)
        seen.append(number)
        first(number)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
