"""What was worked out for one viewer, kept a while for the others."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedMemory(Generic[Value]):
    """Values by key, up to a number of bytes: those that were asked for longest ago go first.

    Safe among threads: of those that ask for the same at once one works, the others wait for it.

    Parameters
    ----------
    budget_bytes : int
        A value that is larger than this is handed out, but not kept.
    size_of : callable
        Bytes that a value takes.
    """

    def __init__(self, budget_bytes: int, size_of: Callable[[Value], int]) -> None:
        self._budget_bytes = budget_bytes
        self._size_of = size_of
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._pending: dict[Hashable, Future[Value]] = {}
        self.nbytes = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made by `make` unless it is kept; what that raises is raised."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            pending = self._pending.get(key)
            mine = self._pending.setdefault(key, Future())
        return self._made(key, make, mine) if pending is None else pending.result()

    def _made(self, key: Hashable, make: Callable[[], Value], pending: Future[Value]) -> Value:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            pending.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
            self._keep(key, value)
        pending.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Value) -> None:
        self._kept[key] = value
        self.nbytes += self._size_of(value)
        while self.nbytes > self._budget_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.nbytes -= self._size_of(oldest)
