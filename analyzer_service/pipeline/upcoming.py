"""Batches that are committed and not released, by the frame that each names."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.commit.producers import ProducerState, critical
from analyzer_service.commit.store import Store, StoredFrame
from shared.messages import BatchMetrics
from shared.sequences import RangeSet

MOST: Final = 65_536
"""Of one producer, those that are released next first, so that no frame waits in vain."""


@dataclass
class _Known:
    """Of one producer: which records are read, and where the batch of each frame is."""

    read: RangeSet = field(default_factory=RangeSet)
    places: dict[tuple[str, int], int] = field(default_factory=dict)
    highest: int = 0
    released: int = 0

    def let_go(self, next_release: int) -> None:
        if next_release > self.released:
            self.released = next_release
            self.places = {key: at for key, at in self.places.items() if at >= next_release}


class UpcomingBatches:
    """Reads each record once, also behind one that has not come: that may never come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: defaultdict[int, _Known] = defaultdict(_Known)

    def forget(self) -> None:
        """Begin anew: the run will be released again."""
        self._known.clear()

    def read(self, state: ProducerState) -> bool:
        """Read on; tell whether everything of `state` is read that is not released."""
        known, first, last = self._known[state.id], state.next_release, state.highest_cseq
        known.let_go(first)
        if last < first:
            return True
        for begin, end in state.committed.within(first, last):
            for unread in known.read.missing(begin, end):
                for cseq in range(unread[0], unread[1] + 1):
                    # What comes late is released before what is known, so it has its place.
                    if len(known.places) >= MOST and cseq > known.highest:
                        return False
                    self._read(state, known, cseq)
        return not known.read.missing(first, last)

    def of(self, state: ProducerState, frame: StoredFrame) -> BatchMetrics | None:
        """The batch that names `frame`, None while it is not known."""
        cseq = self._known[state.id].places.get((frame.stream, frame.fseq))
        if cseq is None:
            return self._released(state, frame)
        message = state.message(self._store, cseq)
        return message if isinstance(message, BatchMetrics) else None

    def _read(self, state: ProducerState, known: _Known, cseq: int) -> None:
        message = state.message(self._store, cseq)
        if message is None:
            return
        known.read.add(cseq)
        known.highest = max(known.highest, cseq)
        if isinstance(message, BatchMetrics) and message.frame is not None:
            known.places[message.frame.stream, message.frame.fseq] = cseq

    def _released(self, state: ProducerState, frame: StoredFrame) -> BatchMetrics | None:
        """The batch of a frame that came after its row was released."""
        if frame.fseq > state.stream(frame.stream).floor:
            return None
        query = "SELECT cseq FROM batches WHERE phase = ? AND phase_step = ? AND origin = ?"
        given = (frame.phase, frame.phase_step, state.id)
        found = self._store.connection.execute(query, given).fetchone()
        payload = None if found is None else self._store.record(state.id, found[0])
        message = None if payload is None else critical(payload)
        if not isinstance(message, BatchMetrics) or message.frame is None:
            return None
        named = (message.frame.stream, message.frame.fseq)
        return message if named == (frame.stream, frame.fseq) else None
