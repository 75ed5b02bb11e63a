"""The connection to a cluster while there is one; once it is lost, the way to the next one."""

import itertools
import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analyzer_service.cluster import returning
from analyzer_service.cluster.connection import Answer, Connection, Listener
from analyzer_service.cluster.returning import Return, Wait
from analyzer_service.cluster.settings import ClusterSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a chunk."""

    number: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Lost:
    """The cluster is done without until it is back; what it has will not be answered."""


@dataclass(frozen=True, slots=True)
class _Ended:
    connection: Connection
    why: str


class Link:
    """For one thread, but for `slots`, `lost` and `losses`, which any may read.

    Parameters
    ----------
    settings : ClusterSettings
        Where the cluster is.
    on_change : callable
        Called on other threads when there is something to `take`, or `slots` has changed.
    wait : callable
        How the pauses pass after which a lost cluster is asked again.

    Raises
    ------
    ConfigurationError
        If the cluster cannot be reached or has other versions.
    """

    def __init__(
        self, settings: ClusterSettings, on_change: Callable[[], None], *, wait: Wait
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._wait = wait
        # Of all connections together: a late answer from one is none to a chunk of the next.
        self._numbers = itertools.count(1)
        self._events: queue.SimpleQueue[Answered | _Ended | Connection] = queue.SimpleQueue()
        self._pauses: Iterator[float] = returning.pauses()
        self._return: Return | None = None
        self.losses = 0
        self._current: Connection | None = self._make()
        self._current.connect(strict=True)

    @property
    def slots(self) -> int:
        """Threads that a chunk can be sent to."""
        current = self._current  # once: other threads ask, too
        return 0 if current is None else current.slots

    @property
    def lost(self) -> bool:
        """Whether there is no connection now."""
        return self._current is None

    def send(self, header: bytes, payloads: Sequence[bytes]) -> int:
        """Have a chunk run; return the number by which its answer comes."""
        number = next(self._numbers)
        if self._current is not None:
            self._current.send(number, header, payloads)
        return number

    def cancel(self, number: int) -> None:
        """Let a chunk be dropped, running or not; nothing comes of it any more."""
        if self._current is not None:
            self._current.cancel(number)

    def take(self) -> Iterator[Answered | Lost]:
        """What has come meanwhile."""
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, Answered):
                yield event
            elif isinstance(event, Connection):
                self._use(event)
            elif event.connection is self._current:
                self._give_up(event)
                yield Lost()

    def worked(self) -> None:
        """It does what it is for: once it is lost again, it is asked soon."""
        self._pauses = returning.pauses()

    def close(self, timeout_s: float) -> None:
        """Leave the cluster as it is for others, and look for it no more."""
        if self._current is not None:
            self._current.close()
        if self._return is not None:
            self._return.close(timeout_s)

    def _make(self) -> Connection:
        return Connection(
            self._settings,
            Listener(
                answered=lambda number, answer: self._post(Answered(number, answer)),
                lost=lambda connection, why: self._post(_Ended(connection, why)),
                changed=self._on_change,
            ),
        )

    def _post(self, event: Answered | _Ended | Connection) -> None:
        self._events.put(event)
        self._on_change()

    def _give_up(self, ended: _Ended) -> None:
        self._current = None
        self.losses += 1
        logger.error(
            "the cluster %s is given up: %s; analyses go on on this machine, and it is asked "
            "again from time to time",
            *(self._settings.address, ended.why),
        )
        self._ask_again(ended.connection)

    def _ask_again(self, lost: Connection) -> None:
        self._return = Return(lost, self._make, self._post, pauses=self._pauses, wait=self._wait)

    def _use(self, connection: Connection) -> None:
        if connection.lost:  # again, before anybody heard that it was back
            self._ask_again(connection)
            return
        self._return = None
        self._current = connection
        logger.warning("the cluster %s is back, and used again", self._settings.address)
