"""How long frames are waited for once their producer has said that the run ended."""

import time
from collections.abc import Mapping

from analyzer_service.commit.producers import Origin, ProducerState


class EndGrace:
    """Remembers since when each producer's records are complete.

    Parameters
    ----------
    grace_s : float
        How long its frames may still come from then on.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._since: dict[Origin, float] = {}
        self._overdue: frozenset[Origin] = frozenset()

    def overdue(self, producers: Mapping[Origin, ProducerState]) -> list[ProducerState]:
        """Producers whose time is over, their frames not yet said to be."""
        now = time.monotonic()
        waiting = {origin: state for origin, state in producers.items() if _is_complete(state)}
        self._since = {origin: self._since.get(origin, now) for origin in waiting}
        found = [origin for origin, since in self._since.items() if now - since >= self._grace_s]
        self._overdue = frozenset(found)
        return [waiting[origin] for origin in found]

    def is_over(self, state: ProducerState) -> bool:
        """Tell whether no frame of `state` is waited for any more."""
        over = state.gone or state.drained or state.frames_over
        return over or state.origin in self._overdue


def _is_complete(state: ProducerState) -> bool:
    complete = state.ended is not None and state.committed_cseq == state.highest_cseq
    return complete and not (state.frames_over or state.drained)
