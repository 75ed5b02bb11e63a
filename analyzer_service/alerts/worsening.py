"""A series that gets worse than it was at its best.

Judged by quartiles over a window, since single batches are noise. Series that are better when
they are high (SSIM) are looked at with their sign turned.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.reading import JUDGED_EVERY, Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from analyzer_service.figures.wording import with_unit
from shared.messages import Phase

_EARLY_TIMES: Final = 3.0
_JUMP: Final = 2.0
_SETTLING_WINDOWS: Final = 4


@dataclass(kw_only=True)
class WorseningRule:
    """Bad while three quarters of the last rows are worse than three quarters of the best ones.

    The best rows are those of the window with the best median so far. The gap between the two
    quartiles must be `margin`, of the best median if it is `relative`. Good when half of the rows
    are back within half of the margin. With `early`, a first window in which three quarters are
    worse than three times the very first value is bad, too: worse than untrained. With `restarts`,
    nothing is bad in the four windows after the learning rate jumped to twice itself or more: a
    warm restart throws a model back for a while, and what broke is still broken after it.
    """

    name: str
    key: str
    label: str
    margin: float
    relative: bool
    window: int
    advice: str
    unit: str = ""
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    after: int = 0
    early: bool = False
    restarts: bool = False
    _recent: Window = field(init=False)
    _rows: int = field(init=False, default=0)
    _best: float = field(init=False, default=math.inf)
    _edge: float = field(init=False, default=math.inf)
    _best_step: int = field(init=False, default=0)
    _has_window: bool = field(init=False, default=False)
    _rate: float = field(init=False, default=math.nan)
    _settling: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._recent = Window(self.window)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None until the window is full, and between the rows that are judged."""
        self._rows += 1
        if self.restarts:
            self._watch_rate(row.number("learning_rate"))
        value = row.number(self.key)
        if self._rows <= self.after or not math.isfinite(value):
            return None
        self._recent.push(self._turned(value))
        if self.early and len(self._recent) == 1:
            self._best, self._best_step = value, row.step
            self._edge = value + (_EARLY_TIMES - 1) * abs(value)
        if self._rows % JUDGED_EVERY or not self._recent.full:
            return None
        first = not self._has_window and self._recent.quantile(0.25) <= self._edge
        if first or self._recent.median() < self._best:
            self._mark_best(row)
        margin = self.margin * (abs(self._best) if self.relative else 1.0)
        return Reading(
            self._turned(self._recent.median()),
            bad=not self._settling and self._recent.quantile(0.25) > self._edge + margin,
            good=self._recent.median() <= self._edge + margin / 2,
        )

    def sentence(self) -> str:
        """Where it was, where it is, and what to look at."""
        now, best = (self._turned(x) for x in (self._recent.median(), self._best))
        verb = "has risen" if self.worst == "high" else "has fallen"
        return (
            f"{self.label} {verb} from {with_unit(best, self.unit)}, its best, at step "
            f"{self._best_step:,}, to {with_unit(now, self.unit)} (medians over "
            f"{self.window} batches). {self.advice}"
        )

    def _watch_rate(self, rate: float) -> None:
        """Count down from a jump; rows of trainers that do not say their rate change nothing."""
        self._settling = max(0, self._settling - 1)
        if not math.isfinite(rate):
            return
        if rate >= _JUMP * self._rate > 0:
            self._settling = _SETTLING_WINDOWS * self.window
        self._rate = rate

    def _mark_best(self, row: SeenRow) -> None:
        self._best, self._edge = self._recent.median(), self._recent.quantile(0.75)
        self._best_step, self._has_window = row.step, True

    def _turned(self, value: float) -> float:
        return value if self.worst == "high" else -value
