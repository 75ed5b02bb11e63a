"""Shares: of tiles whose map is constant, of time spent waiting, of frames without results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite

from analyzer_service.alerts.reading import JUDGED_EVERY, Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from shared.messages import Phase

Part = Callable[[SeenRow], tuple[float, float]]
"""Of a row, the part and the whole; what is not finite leaves the row out."""


@dataclass(kw_only=True)
class ShareRule:
    """Bad while the sum of parts over the last rows is `most` of the sum of wholes, or more.

    Judged from `least` rows on; good below 0.8 of `most`. What it says begins with `seen`, in
    which ``{share}`` and ``{window}`` stand for these.
    """

    name: str
    part: Part
    most: float
    window: int
    seen: str
    advice: str
    least: int | None = None
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    after: int = 0
    _parts: Window = field(init=False)
    _wholes: Window = field(init=False)
    _rows: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._parts, self._wholes = Window(self.window), Window(self.window)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None between the rows that are judged, and while too few are there."""
        self._rows += 1
        part, whole = self.part(row)
        if self._rows <= self.after or not (isfinite(part) and isfinite(whole)):
            return None
        self._parts.push(part)
        self._wholes.push(whole)
        enough = len(self._parts) >= (self.window if self.least is None else self.least)
        share = self._share() if enough and self._rows % JUDGED_EVERY == 0 else None
        if share is None:
            return None
        return Reading(share, bad=share >= self.most, good=share < 0.8 * self.most)

    def sentence(self) -> str:
        """How large the share is, and what to look at."""
        share = f"{100 * (self._share() or 0.0):.0f} %"
        return f"{self.seen.format(share=share, window=len(self._parts))} {self.advice}"

    def _share(self) -> float | None:
        whole = self._wholes.total()
        return self._parts.total() / whole if whole > 0 else None
