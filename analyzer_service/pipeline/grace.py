"""How long is waited: for frames once their producer has ended, for ranks that never spoke."""

import logging
import time
from collections.abc import Collection, Mapping
from typing import Final

from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.rank_order import Awaited

logger = logging.getLogger(__name__)

SAID_AFTER_S: Final = 5.0
"""A rank that is waited for longer than this is named in the log, and on the page."""


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


class JoinGrace:
    """Remembers since when the ranks of each start are not all there.

    Parameters
    ----------
    grace_s : float
        How long those that have not been heard of are waited for.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._since: dict[int, float] = {}
        self._waits = False

    def waits(self, ranks: list[ProducerState]) -> bool:
        """Tell whether more of the start of `ranks` are to come before its rows can be released."""
        self._waits = self._is_awaited(ranks)
        return self._waits

    def give_up(self) -> None:
        """Wait for nobody any more."""
        self._grace_s = 0.0

    def just_over(self, producers: Collection[ProducerState]) -> bool:
        """Tell, once, that those were waited for in vain."""
        if not self._waits:
            return False
        newest = max(state.origin.incarnation for state in producers)
        return not self.waits([s for s in producers if s.origin.incarnation == newest])

    def _is_awaited(self, ranks: list[ProducerState]) -> bool:
        world_size = max(state.started.world_size for state in ranks)
        if len(ranks) >= world_size or all(state.gone for state in ranks):
            return False
        now = time.monotonic()
        since = self._since.setdefault(ranks[0].origin.incarnation, now)
        return now - since < self._grace_s


class RankWaits:
    """Remembers for which ranks rows of the others wait, and since when; says so in the log.

    Parameters
    ----------
    run : str
        What the run is called in the log.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._since: dict[Awaited, float] = {}
        self._said: set[str] = set()

    def look(self, awaited: Collection[Awaited]) -> None:
        """Note who is waited for now."""
        now = time.monotonic()
        self._since = {each: self._since.get(each, now) for each in awaited}
        waited = {name: s for name, s in self.waited_s().items() if s >= SAID_AFTER_S}
        for name in sorted(waited.keys() - self._said):
            logger.warning("%s: results wait for %s (%.0f s)", self._run, name, waited[name])
        for name in sorted(self._said - {name for name, _ in awaited}):
            logger.info("%s: results wait for %s no more", self._run, name)
        self._said = {name for name in self._said | waited.keys() if name in dict(awaited)}

    def waited_s(self) -> dict[str, float]:
        """Seconds by producer's name, of those that are waited for now."""
        now = time.monotonic()
        return {name: now - since for (name, _), since in self._since.items()}


def _is_complete(state: ProducerState) -> bool:
    complete = state.ended is not None and state.committed_cseq == state.highest_cseq
    return complete and not (state.frames_over or state.drained)
