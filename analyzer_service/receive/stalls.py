"""Trainers that are there and say nothing: noticed while they stand still, for the log.

What the run's files say of it comes later, from the times of the batches themselves
(`analyzer_service.alerts.stalled`): when a batch arrives is no fact of the run.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.alerts.stalled import stall_limit_s
from analyzer_service.alerts.windows import Window
from analyzer_service.pipeline import Origin

logger = logging.getLogger(__name__)

_GAPS: Final = 50
_LEAST: Final = 5


@dataclass
class _Heard:
    """When the last batch of a producer's start came, and the gaps between the last ones."""

    at: float
    gaps: Window = field(default_factory=lambda: Window(_GAPS))


class Stalls:
    """Says when batches of a connected producer stay away, and when they come again.

    Attributes
    ----------
    standing : dict
        By producer's start that stands still, the clock at its last batch.
    """

    def __init__(self, run_name: str, settings: AlertSettings = DEFAULT) -> None:
        self._run_name = run_name
        self._settings = settings.stalled
        self._wanted = "stalled" not in settings.off
        self._heard: dict[Origin, _Heard] = {}
        self._came: set[Origin] = set()
        self.standing: dict[Origin, float] = {}

    def batch(self, origin: Origin) -> None:
        """A batch of `origin` has come."""
        self._came.add(origin)

    def look(self, expected: Iterable[Origin], now: float) -> None:
        """Judge the producers of which more is expected, by the clock `now`."""
        expected = set(expected)
        for origin in self._came:
            self._note(origin, now)
        self._came.clear()
        for origin in [each for each in self._heard if each not in expected]:
            del self._heard[origin]
            self.standing.pop(origin, None)
        for origin, heard in self._heard.items():
            if self._wanted and origin not in self.standing and self._is_long(heard, now):
                self.standing[origin] = heard.at
                logger.warning(
                    "%s: %s is connected, but its last batch came %.0f s ago; %.2g s between "
                    "batches are usual",
                    *(self._run_name, origin.producer, now - heard.at, heard.gaps.median()),
                )

    def forgive(self, seconds: float) -> None:
        """Do not count the last `seconds`: this process itself stood still."""
        for heard in self._heard.values():
            heard.at += seconds

    def _note(self, origin: Origin, now: float) -> None:
        heard = self._heard.get(origin)
        if heard is None:
            self._heard[origin] = _Heard(now)
            return
        since = self.standing.pop(origin, None)
        if since is not None:
            logger.info(
                "%s: batches of %s come again, after %.0f s",
                *(self._run_name, origin.producer, now - since),
            )
        heard.gaps.push(now - heard.at)
        heard.at = now

    def _is_long(self, heard: _Heard, now: float) -> bool:
        if len(heard.gaps) < _LEAST:
            return False
        seconds, times = self._settings.seconds, self._settings.times
        limit = stall_limit_s(heard.gaps.median(), seconds=seconds, times=times)
        return now - heard.at > limit
