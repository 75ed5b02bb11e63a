"""What the pipeline asks of workers: submit, outcome, time limit, cancel."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NewType, Protocol, TypeVar

from analyzer_service.workers.system_errors import errno_of
from shared.codec import Buffer

T = TypeVar("T")
Ticket = NewType("Ticket", int)
How = Literal["done", "failed", "timed_out", "died", "cancelled"]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a call ended.

    Attributes
    ----------
    how : str
        "done" (see `value`), "failed" (it raised), "timed_out", "died" (its process did, twice),
        or "cancelled".
    value : T or None
        What the call returned.
    error : str or None
        One line, the exception's type first; None when it is done.
    errno : int or None
        The system's error number, where the system is to blame (a disk that is full, say).
    """

    how: How
    value: T | None = None
    error: str | None = None
    errno: int | None = None


class Workers(Protocol):
    """Runs calls beside the ingest loop; not thread-safe: one thread submits and polls."""

    @property
    def size(self) -> int:
        """How many calls run at once."""
        ...

    @property
    def wakeup_fd(self) -> int:
        """Readable while there may be outcomes for `poll`."""
        ...

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
        """Run ``call(*args)``: first come, first served within a `party`, the parties in turn.

        `call` is importable by name; it and its arguments can be pickled. A call that runs
        past `timeout_s` is killed; one whose process dies is tried once more. `on_done` is
        called exactly once, from `poll`, unless `close` comes first.

        With a `payload` it is ``call(view, *args)``: a read-only memoryview of what its buffers
        make together, to be read until the call ends. They may change once this has returned.

        Calls `apart` run in processes that run nothing else, where there are processes: what they
        do to theirs (settings, modules, memory) reaches no other call, and no other waits for them.
        """
        ...

    def poll(self) -> int:
        """Hand finished outcomes to their `on_done`, on this thread; return how many."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """End a call, running or not; its outcome is "cancelled" unless it was done already."""
        ...

    def close(self, timeout_s: float = 10.0) -> None:
        """Kill what runs, drop what waits, and leave no process behind; may be repeated."""
        ...


def failed(error: BaseException, how: How = "failed") -> Outcome[Any]:
    """What becomes of a call when `error` ends it."""
    return Outcome(how, error=describe(error), errno=errno_of(error))


def describe(error: BaseException) -> str:
    """One line of an exception, its type first."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:2000]
