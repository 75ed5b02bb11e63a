"""A series that stays outside of its range."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from analyzer_service.alerts.reading import JUDGED_EVERY, Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from analyzer_service.figures.wording import number, with_unit
from shared.messages import Phase

# The normal distribution's third quartile, times the square root of two.
_MEDIAN_JUMP: Final = 0.9539


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of the rows, and where it begins to be bad and to be good again.

    `at` is the limit, and `back` lies on its good side.
    """

    key: str
    label: str
    side: Literal["above", "below"]
    at: float
    back: float
    unit: str = ""


def _everything(row: SeenRow) -> bool:
    del row
    return True


@dataclass(kw_only=True)
class LevelRule:
    """Bad while a quantile of the last `window` rows is beyond any of `limits`.

    The quantile is the median, or that of `share` < 0.5: then it is bad when the rows beyond the
    limit are more than ``1 - share`` of them, and good when no more than `share` of them are
    beyond `Limit.back`. Rows that are not `wanted` are left out, and so are the first `after`.
    """

    name: str
    limits: tuple[Limit, ...]
    window: int
    advice: str
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    after: int = 0
    share: float = 0.5
    wanted: Callable[[SeenRow], bool] = _everything
    _windows: list[Window] = field(init=False)
    _rows: int = field(init=False, default=0)
    _worst: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._windows = [Window(self.window) for _ in self.limits]

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None until a window is full, and between the rows that are judged."""
        self._rows += 1
        if self._rows <= self.after or not self.wanted(row):
            return None
        for limit, window in zip(self.limits, self._windows, strict=True):
            window.push(row.number(limit.key))
        if self._rows % JUDGED_EVERY:
            return None
        seen = [place for place, window in enumerate(self._windows) if window.full]
        if not seen:
            return None
        beyond = [place for place in seen if self._is_beyond(place)]
        self._worst = beyond[0] if beyond else seen[0]
        good = not beyond and all(self._is_back(place) for place in seen)
        return Reading(self._windows[self._worst].median(), bad=bool(beyond), good=good)

    def sentence(self) -> str:
        """Which number is where, and what to look at."""
        limit, window = self.limits[self._worst], self._windows[self._worst]
        of = f" of {self.layer}" if self.layer else ""
        value = with_unit(window.median(), limit.unit)
        return (
            f"{limit.label}{of} is {value} (median over {self.window} batches), {limit.side} "
            f"{with_unit(limit.at, limit.unit)}. {self.advice}"
        )

    def _is_beyond(self, place: int) -> bool:
        limit, window = self.limits[place], self._windows[place]
        if limit.side == "above":
            return window.quantile(self.share) > limit.at
        return window.quantile(1 - self.share) < limit.at

    def _is_back(self, place: int) -> bool:
        limit, window = self.limits[place], self._windows[place]
        if limit.side == "above":
            return window.quantile(1 - self.share) <= limit.back
        return window.quantile(self.share) >= limit.back


@dataclass(kw_only=True)
class SpreadRule:
    """Bad while a number jumps from batch to batch by more than `most`, as a standard deviation.

    It is told by the median of the jumps over the last `window` rows: |x - x before| is
    0.954 standard deviations in the median where x is normal. So a level that moves once, or
    slowly, is none. Good below 0.8 of `most`.
    """

    name: str
    key: str
    label: str
    unit: str
    most: float
    window: int
    advice: str
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    after: int = 0
    wanted: Callable[[SeenRow], bool] = _everything
    _recent: Window = field(init=False)
    _rows: int = field(init=False, default=0)
    _before: float = field(init=False, default=math.nan)

    def __post_init__(self) -> None:
        self._recent = Window(self.window)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None until the window is full, and between the rows that are judged."""
        self._rows += 1
        if self._rows <= self.after or not self.wanted(row):
            return None
        value = row.number(self.key)
        self._recent.push(abs(value - self._before))
        self._before = value
        if self._rows % JUDGED_EVERY or not self._recent.full:
            return None
        spread = self._spread()
        return Reading(spread, bad=spread > self.most, good=spread < 0.8 * self.most)

    def sentence(self) -> str:
        """How far it jumps, and what to look at."""
        of = f" of {self.layer}" if self.layer else ""
        return (
            f"{self.label}{of} jumps from batch to batch: its spread over {self.window} batches is "
            f"{with_unit(self._spread(), self.unit)}, more than {number(self.most)}. "
            f"{self.advice}"
        )

    def _spread(self) -> float:
        return self._recent.median() / _MEDIAN_JUMP
