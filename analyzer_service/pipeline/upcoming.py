"""Batches that are committed and not released, by the frame that each names."""

from collections import defaultdict
from typing import Final

from analyzer_service.commit.producers import ProducerState, critical
from analyzer_service.commit.store import Store, StoredFrame
from shared.messages import BatchMetrics

MOST: Final = 1024
"""Of one producer, those that are released next first, so that no frame waits in vain."""

_Known = dict[tuple[str, int], tuple[int, BatchMetrics]]


class UpcomingBatches:
    """Reads each record once, in the order in which they will be released."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: defaultdict[int, _Known] = defaultdict(dict)
        self._next: dict[int, int] = {}

    def forget(self) -> None:
        """Begin anew: the run will be released again."""
        self._known.clear()
        self._next.clear()

    def read(self, state: ProducerState) -> bool:
        """Read on; tell whether everything of `state` that is committed is read."""
        known = self._known[state.id]
        for key in [key for key, (cseq, _) in known.items() if cseq < state.next_release]:
            del known[key]
        cseq = max(self._next.get(state.id, 1), state.next_release)
        while len(known) < MOST and cseq <= state.highest_cseq:
            message = state.message(self._store, cseq)
            if message is None:
                break  # it may come yet; if it does not, its release is skipped, then this
            if isinstance(message, BatchMetrics) and message.frame is not None:
                known[message.frame.stream, message.frame.fseq] = cseq, message
            cseq += 1
        self._next[state.id] = cseq
        return cseq > state.highest_cseq

    def of(self, state: ProducerState, frame: StoredFrame) -> BatchMetrics | None:
        """The batch that names `frame`, None while it is not known."""
        found = self._known[state.id].get((frame.stream, frame.fseq))
        return self._released(state, frame) if found is None else found[1]

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
