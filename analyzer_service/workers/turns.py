"""A queue in which parties take turns: none that has much to do holds up the others."""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """First come, first served within a party; the parties one after the other.

    Examples
    --------
    >>> turns = Turns()
    >>> for party, item in (("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5)):
    ...     turns.put(item, party)
    >>> list(turns)
    [1, 4, 5, 2, 3]
    >>> [turns.take() for _ in range(len(turns))]
    [1, 4, 5, 2, 3]
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """In the order in which they would be taken."""
        lines = [iter(line) for line in self._waiting.values()]
        while lines:
            going = []
            for line in lines:
                for item in line:
                    yield item
                    going.append(line)
                    break
            lines = going

    def put(self, item: T, party: Hashable) -> None:
        """Let `item` wait behind all of its party."""
        self._waiting.setdefault(party, deque()).append(item)
        self._count += 1

    def take(self) -> T:
        """The item whose turn it is; raises `IndexError` when nothing waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        party, line = self._waiting.popitem(last=False)
        item = line.popleft()
        self._count -= 1
        if line:
            self._waiting[party] = line
        return item

    def clear(self) -> None:
        """Let everything go."""
        self._waiting.clear()
        self._count = 0


class TurnQueue(Generic[T]):
    """`Turns` between threads."""

    def __init__(self) -> None:
        self._turns: Turns[T] = Turns()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T, party: Hashable) -> None:
        """Let `item` wait behind all of its party."""
        with self._changed:
            self._turns.put(item, party)
            self._changed.notify()

    def get(self) -> T | None:
        """Wait for the item whose turn it is; None once nothing is left and it is closed."""
        with self._changed:
            while not (self._turns or self._closed):
                self._changed.wait()
            return self._turns.take() if self._turns else None

    def close(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
