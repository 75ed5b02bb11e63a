"""A trainer that stood still, as the times of its own batches tell it."""

import math
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.reading import Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from analyzer_service.figures.wording import with_unit
from shared.messages import Phase

_GAPS: Final = 50
_LEAST: Final = 5


def stall_limit_s(usual_s: float, *, seconds: float, times: float) -> float:
    """How long a gap between batches may be: `seconds`, or `times` the usual gap if that is longer.

    Examples
    --------
    >>> stall_limit_s(0.5, seconds=60.0, times=20.0), stall_limit_s(30.0, seconds=60.0, times=20.0)
    (60.0, 600.0)
    """
    return max(seconds, times * usual_s)


@dataclass(kw_only=True)
class StalledRule:
    """Bad at a batch that came so long after the one before; good at the next that does not."""

    seconds: float
    times: float
    name: str = "stalled"
    layer: str | None = None
    phase: Phase | None = None
    worst: Worst = "high"
    of_process: bool = True
    _gaps: Window = field(init=False)
    _last: tuple[int, float] | None = field(init=False, default=None)
    _gap: float = field(init=False, default=0.0)
    _usual: float = field(init=False, default=math.nan)

    def __post_init__(self) -> None:
        self._gaps = Window(_GAPS)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None while too few gaps are known."""
        before, self._last = self._last, (row.step, row.at_s)
        if before is None:
            return None
        self._gap, self._usual = row.at_s - before[1], self._gaps.median()
        known = len(self._gaps)
        self._gaps.push(self._gap)
        if known < _LEAST:
            return None
        most = stall_limit_s(self._usual, seconds=self.seconds, times=self.times)
        return Reading(self._gap, bad=self._gap > most, good=self._gap <= most, since=before)

    def sentence(self) -> str:
        """How long nothing came."""
        return (
            f"The trainer stood still for {with_unit(self._gap, 's')}; "
            f"{with_unit(self._usual, 's')} from batch to batch is usual. Look at the data's "
            "storage, checkpoints, and what else the machine did."
        )
