"""In which order the records of several ranks are released: by step, whoever is faster.

Each record has a place that its own message tells. Of the ranks' next records the one with the
lowest place goes first, and none goes while a rank that is still there has its next record yet to
say: so the order depends on the records alone, not on when they came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.commit.producers import ProducerState
from analyzer_service.commit.store import Store
from shared.messages import BatchMetrics, CriticalMessage, EpochEnded

Place = tuple[int, int, int, int]
"""Training step, what it is of that step, number within the phase, rank."""

Awaited = tuple[str, int]
"""A producer's name, and which of its records has not come."""

AT_ONCE: Final[Place] = (-1, 0, 0, 0)
"""Of records that make no row: they need not wait for the other ranks."""

PHASES: Final = {"train": 0, "val": 1}
_EPOCH_END: Final = 2


def place_of(message: CriticalMessage) -> Place:
    """Where `message` stands among those of all ranks.

    Training batches of a step come before the validation that follows it, and that before the end
    of the epoch; within each, lower ranks come first.

    Examples
    --------
    >>> from shared.messages import EpochEnded
    >>> place_of(EpochEnded(epoch=0, global_step=7, rank=1, captured_at_ns=0))
    (7, 2, 0, 1)
    """
    if isinstance(message, BatchMetrics):
        step = message.phase_step
        return (message.global_step, PHASES[message.phase], step, message.rank)
    if isinstance(message, EpochEnded):
        return (message.global_step, _EPOCH_END, message.epoch, message.rank)
    return AT_ONCE


@dataclass
class RankOrder:
    """Chooses which of the `states` of one start is released next, inside one transaction.

    `awaited` tells that further ranks are yet to be heard of.
    """

    store: Store
    states: list[ProducerState]
    awaited: bool
    _places: dict[int, tuple[int, Place]] = field(default_factory=dict)
    _held: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.states = sorted(self.states, key=lambda state: state.origin)

    def next(self) -> ProducerState | None:
        """Whose record is next; None while another rank may have one that goes before it.

        A rank that is gone and has a gap is next, too: to go on behind it.
        """
        found: tuple[Place, ProducerState] | None = None
        waits = self.awaited
        for state in self._open():
            place = self._place(state)
            if place is None:
                if state.gone:
                    return state
                waits = True
            elif place == AT_ONCE:
                return state
            elif found is None or place < found[0]:
                found = place, state
        return None if found is None or waits else found[1]

    def hold(self, state: ProducerState) -> None:
        """Its last record has to wait for frames: no other rank waits for that."""
        self._held.add(state.id)

    def waits_for(self) -> tuple[Awaited, ...]:
        """Records that have not come, and that keep one of another rank back; mostly none."""
        places = {state.id: self._place(state) for state in self._open()}
        if not any(places.values()):
            return ()
        awaited = [
            (state.origin.producer, state.next_release)
            for state in self.states
            if state.id in places and places[state.id] is None and not state.gone
        ]
        if self.awaited:
            known = {state.origin.producer for state in self.states}
            every = (f"rank{n}" for n in range(self.states[0].started.world_size))
            awaited += [(name, 1) for name in every if name not in known]
        return tuple(awaited)

    def _open(self) -> Iterable[ProducerState]:
        return (s for s in self.states if not s.drained and s.id not in self._held)

    def _place(self, state: ProducerState) -> Place | None:
        """Place of its next record, None where that has not come; each is read once."""
        known = self._places.get(state.id)
        if known is None or known[0] != state.next_release:
            message = state.message(self.store, state.next_release)
            if message is None:
                return None
            known = self._places[state.id] = state.next_release, place_of(message)
        return known[1]
