"""Workers without processes: calls run inside `poll`, on the caller's thread."""

import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from analyzer_service.workers.protocol import Outcome, T, Ticket, failed
from analyzer_service.workers.wakeup import Wakeup
from shared.codec import Buffer, join

_Call = tuple[Callable[[], Outcome[Any]], Callable[[Outcome[Any]], None]]


class InlineWorkers:
    """For tests, and for places without processes.

    No call is ever stopped: time limits and the death of a process do not exist here.
    """

    def __init__(self) -> None:
        self._tickets = itertools.count(1)
        self._waiting: dict[Ticket, _Call] = {}
        self._wakeup = Wakeup()

    @property
    def size(self) -> int:
        """One call at a time."""
        return 1

    @property
    def wakeup_fd(self) -> int:
        """Readable while calls wait to be run by `poll`."""
        return self._wakeup.fileno()

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
        """Keep the call for the next `poll`; `timeout_s` is not held, and nothing is apart."""
        del timeout_s, apart, party  # the next `poll` runs everything that waits
        ticket = Ticket(next(self._tickets))
        given = () if payload is None else (memoryview(join(payload)),)
        self._waiting[ticket] = (lambda: _run(call, (*given, *args))), on_done
        self._wakeup.set()
        return ticket

    def poll(self) -> int:
        """Run every call that waited as this began."""
        self._wakeup.clear()
        ready = list(self._waiting)
        for ticket in ready:
            run, on_done = self._waiting.pop(ticket)
            on_done(run())
        return len(ready)

    def cancel(self, ticket: Ticket) -> None:
        """Let a call that has not run end as cancelled."""
        if ticket in self._waiting:
            _, on_done = self._waiting[ticket]
            self._waiting[ticket] = (lambda: Outcome("cancelled", error="cancelled")), on_done

    def close(self, timeout_s: float = 10.0) -> None:
        """Drop what waits."""
        del timeout_s
        self._waiting.clear()
        self._wakeup.close()


def _run(call: Callable[..., T], args: tuple[Any, ...]) -> Outcome[T]:
    try:
        return Outcome("done", call(*args))
    except Exception as error:
        return failed(error)
