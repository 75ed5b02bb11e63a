"""Memory that jumps."""

import math
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.reading import Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from analyzer_service.figures.wording import with_unit
from shared.messages import Phase

_KEY: Final = "memory_mb"
_USUAL_ROWS: Final = 50


@dataclass(kw_only=True)
class SpikeRule:
    """Bad when memory is `times` the median of the last 50 rows and `least_mib` above it.

    Good when it is back by half, or the median has followed: a new level is no spike for ever.
    """

    times: float
    least_mib: float
    after: int
    name: str = "memory_spike"
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = True
    _recent: Window = field(init=False)
    _rows: int = field(init=False, default=0)
    _last: float = field(init=False, default=math.nan)
    _usual: float = field(init=False, default=math.nan)

    def __post_init__(self) -> None:
        self._recent = Window(_USUAL_ROWS)

    def look(self, row: SeenRow) -> Reading | None:
        """Compare a row with those before it; None until there are ten of them."""
        self._rows += 1
        value = row.number(_KEY)
        if self._rows <= self.after or not math.isfinite(value):
            return None
        usual, known = self._recent.median(), len(self._recent)
        self._recent.push(value)
        if known < _USUAL_ROWS // 5:
            return None
        self._last, self._usual = value, usual
        most = max(self.times * usual, usual + self.least_mib)
        return Reading(value, bad=value > most, good=value <= (usual + most) / 2)

    def sentence(self) -> str:
        """How much it is and was."""
        return (
            f"Memory jumped to {with_unit(self._last, 'MiB')}; the median of the batches before "
            f"is {with_unit(self._usual, 'MiB')}. Look for a larger batch or tile, or results that "
            "are kept on the device."
        )
