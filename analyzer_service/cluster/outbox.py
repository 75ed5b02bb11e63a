"""Calls on their way: which wait to be sent, and which are at the cluster, in what chunk."""

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from analyzer_service.cluster.gathering import MOST_CALLS, Gathering
from analyzer_service.cluster.remote import Plain, RemoteCall
from analyzer_service.workers.protocol import Outcome, Ticket
from analyzer_service.workers.turns import Turns

CHUNKS_A_SLOT: Final = 2
"""Chunks at the cluster for each of its threads: the next one is there as one ends."""
BYTES_A_SLOT: Final = 16 << 20
MOST_BYTES: Final = 1 << 30
"""At the cluster at once; dask's scheduler holds them until they are answered."""


@dataclass(eq=False)
class TravelingCall:
    """A call that may run on a cluster; `local` once it runs here, `outcome` once it has ended."""

    ticket: Ticket
    remote: RemoteCall
    function: Callable[..., Any]
    args: tuple[Any, ...]
    packed: Plain
    timeout_s: float
    on_done: Callable[[Outcome[Any]], None]
    payload: bytes | None
    party: Hashable
    local: Ticket | None = None
    outcome: Outcome[Any] | None = None

    @property
    def nbytes(self) -> int:
        """Size of its payload."""
        return len(self.payload or b"")


class Outbox:
    """Decides what is sent next; a cluster has so many `slots`, threads that run a chunk each."""

    def __init__(self) -> None:
        self._waiting: Turns[TravelingCall] = Turns()
        self._chunks: dict[int, list[TravelingCall]] = {}
        self._bytes_out = 0
        self.gathering = Gathering()

    @property
    def chunks(self) -> int:
        """How many are at the cluster."""
        return len(self._chunks)

    @property
    def numbers(self) -> list[int]:
        """Of the chunks that are at the cluster."""
        return list(self._chunks)

    def put(self, call: TravelingCall) -> None:
        """Let `call` wait for the next chunk, in turn with other parties' calls."""
        self._waiting.put(call, call.party)

    def next_chunk(self, slots: int) -> list[TravelingCall] | None:
        """Calls that go together now; None if nothing waits, or not enough while all are busy."""
        while self._waiting and self._has_room(slots):
            first = list(itertools.islice(self._waiting, MOST_CALLS))
            sizes = [(call.remote.name, call.nbytes) for call in first]
            count, full = self.gathering.cut(sizes)
            if not full and self.chunks >= slots:
                return None
            taken = [self._waiting.take() for _ in range(count)]
            going = [call for call in taken if call.outcome is None]
            if going:  # they were not all cancelled meanwhile
                return going
        return None

    def sent(self, number: int, calls: list[TravelingCall]) -> None:
        """They are at the cluster, as this chunk."""
        self._chunks[number] = calls
        self._bytes_out += sum(call.nbytes for call in calls)

    def back(self, number: int) -> list[TravelingCall] | None:
        """The calls of a chunk, which is away no more; None if it is not known (any more)."""
        calls = self._chunks.pop(number, None)
        self._bytes_out -= sum(call.nbytes for call in calls or ())
        return calls

    def drop_ended(self) -> list[int]:
        """Forget chunks of which every call was cancelled; return their numbers."""
        ended = [
            number
            for number, calls in self._chunks.items()
            if all(call.outcome is not None for call in calls)
        ]
        for number in ended:
            self.back(number)
        return ended

    def clear(self) -> list[TravelingCall]:
        """Everything that is away or waits, in that order; nothing is left here."""
        calls = [call for chunk in self._chunks.values() for call in chunk] + list(self._waiting)
        self._chunks.clear()
        self._waiting.clear()
        self._bytes_out = 0
        return calls

    def _has_room(self, slots: int) -> bool:
        return self.chunks < CHUNKS_A_SLOT * slots and self._bytes_out < budget_bytes(slots)


def budget_bytes(slots: int) -> int:
    """How many bytes of payloads a cluster of that size may have at once."""
    return min(MOST_BYTES, max(1, slots) * BYTES_A_SLOT)
