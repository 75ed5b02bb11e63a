"""A series seen as medians of a few rows each, and where it has been going: growth, plateaus."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.reading import Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window, theil_sen
from analyzer_service.figures.wording import number, with_unit
from shared.messages import Phase

POINTS: Final = 40
_JUDGED_POINTS: Final = 4
_LONGER: Final = (1, 10, 100)
_FALLING: Final = 0.25
_FALLEN: Final = 0.2
_LEARNED: Final = 0.3


@dataclass(frozen=True, slots=True)
class Trend:
    """Where a series went: `change` is its Theil-Sen slope over all of `points`.

    `steadiness` is Kendall's tau; `since` the step and time of the first row.
    """

    points: list[float]
    batches: int
    change: float
    steadiness: float
    since: tuple[int, float]

    @property
    def level(self) -> float:
        """Median of the points."""
        return statistics.median(self.points)


@dataclass
class Trace:
    """The last `batches` rows of a series as 40 medians of as many rows each."""

    batches: int
    least: int = POINTS
    _chunk: Window = field(init=False)
    _points: Window = field(init=False)
    _steps: Window = field(init=False)
    _times: Window = field(init=False)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._chunk = Window(max(1, self.batches // POINTS))
        self._points, self._steps, self._times = (Window(POINTS) for _ in range(3))

    def push(self, value: float, row: SeenRow) -> Trend | None:
        """Take a finite value in; a trend with every fourth median, from `least` of them on."""
        if not len(self._chunk):
            self._steps.push(row.step)
            self._times.push(row.at_s)
        self._chunk.push(value)
        if not self._chunk.full:
            return None
        self._points.push(self._chunk.median())
        self._chunk.clear()
        self._count += 1
        if len(self._points) < self.least or self._count % _JUDGED_POINTS:
            return None
        points = self._points.values()
        slope, tau = theil_sen(points)
        since = int(self._steps.values()[0]), self._times.values()[0]
        batches = len(points) * max(1, self.batches // POINTS)
        return Trend(points, batches, slope * (len(points) - 1), tau, since)


@dataclass(kw_only=True)
class GrowthRule:
    """Bad while memory grows steadily over the last `batches` rows, or 10 or 100 times as many.

    Its change in that time must be `share` of what it was and `least_mib`, and steady. Judged
    from half of the rows on. Good below half of either, over all of these times. A leak of a
    tenth of a MiB a batch is none of note in 200 batches, and fills a machine in a day.
    """

    batches: int
    share: float
    least_mib: float
    steadiness: float
    after: int
    name: str = "memory_growth"
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = True
    _traces: list[Trace] = field(init=False)
    _grows: list[bool] = field(init=False)
    _rows: int = field(init=False, default=0)
    _said: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._traces = [Trace(times * self.batches, POINTS // 2) for times in _LONGER]
        self._grows = [False] * len(_LONGER)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None between the medians, and while there are too few."""
        self._rows += 1
        value = row.number("memory_mb")
        if self._rows <= self.after or not math.isfinite(value):
            return None
        reading = None
        for place, trace in enumerate(self._traces):
            trend = trace.push(value, row)
            found = None if trend is None else self._judge(place, trend)
            if found is not None and (reading is None or found.bad):
                reading = found
        return reading

    def sentence(self) -> str:
        """How much it grew in which time."""
        return self._said

    def _judge(self, place: int, trend: Trend) -> Reading:
        first, last = trend.points[0], trend.points[-1]
        most = max(self.share * abs(first), self.least_mib)
        bad = trend.change >= most and trend.steadiness >= self.steadiness
        if bad:
            rate = 1000 * trend.change / trend.batches
            self._said = (
                f"Memory grows steadily: from {with_unit(first, 'MiB')} at step "
                f"{trend.since[0]:,} to {with_unit(last, 'MiB')}, {with_unit(rate, 'MiB')} in "
                "1,000 batches. Look for tensors that are kept with their graph (a loss that is "
                "summed up without .item(), lists of outputs), and for caches."
            )
        if bad or trend.change < most / 2 or trend.steadiness < self.steadiness / 2:
            self._grows[place] = bad
        return Reading(trend.change, bad=bad, good=not any(self._grows), since=trend.since)


@dataclass(kw_only=True)
class PlateauRule:
    """Bad while a series improved by less than `improvement` over the last `batches` rows.

    Of its median in that time if it is `relative`. What got worse by `worse` (counted alike) is
    no plateau, nor what is as good as `enough`. Good at `clears` times `improvement`, which noise
    must not reach.
    """

    name: str
    key: str
    label: str
    improvement: float
    relative: bool
    worse: float
    batches: int
    clears: float
    advice: str
    enough: float | None = None
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    _trace: Trace = field(init=False)
    _said: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._trace = Trace(self.batches)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None between the medians, and while there are too few."""
        value = row.number(self.key)
        if not math.isfinite(value):
            return None
        trend = self._trace.push(value, row)
        return None if trend is None else self._judge(trend)

    def sentence(self) -> str:
        """Since when it rests at what, and what to look at."""
        return self._said

    def _judge(self, trend: Trend) -> Reading:
        level = trend.level
        scale = abs(level) if self.relative else 1.0
        improved = trend.change if self.worst == "low" else -trend.change
        enough = self._is_enough(level)
        bad = -self.worse * scale < improved < self.improvement * scale and not enough
        if bad:
            least = f"{100 * self.improvement:g} %" if self.relative else f"{self.improvement:g}"
            self._said = (
                f"{self.label} has not improved by {least} since step {trend.since[0]:,}: its "
                f"median over {trend.batches} batches is {number(level)}. {self.advice}"
            )
        good = improved >= self.clears * self.improvement * scale or enough
        return Reading(level, bad=bad, good=good, since=trend.since)

    def _is_enough(self, level: float) -> bool:
        if self.enough is None:
            return False
        return level >= self.enough if self.worst == "low" else level <= self.enough


@dataclass(kw_only=True)
class StuckRule:
    """Bad while the loss is near the very first one and does not fall steadily.

    Near is above `near` of it. It does not fall steadily when Kendall's tau of the medians of the
    last `batches` rows is above -0.25: more than two standard deviations from none at all; and when
    it fell by less than a fifth of itself, which in noise may look unsteady. Good as soon as it is
    no longer near, at -0.5, or where it is 30 % below its highest median: from there on the run has
    learned something, and where it rests later is a plateau. A run that learns nothing need not
    wait until one is seen.
    """

    batches: int
    near: float
    name: str = "loss_stuck"
    layer: str | None = None
    phase: Phase | None = "train"
    worst: Worst = "high"
    of_process: bool = False
    _trace: Trace = field(init=False)
    _first: float | None = field(init=False, default=None)
    _highest: float = field(init=False, default=-math.inf)
    _learns: bool = field(init=False, default=False)
    _said: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._trace = Trace(self.batches)

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None between the medians, and while there are too few."""
        value = row.number("loss")
        if not math.isfinite(value):
            return None
        self._first = value if self._first is None else self._first
        trend = self._trace.push(value, row)
        return None if trend is None else self._judge(trend, self._first)

    def sentence(self) -> str:
        """Where it began, where it is, and what to look at."""
        return self._said

    def _judge(self, trend: Trend, first: float) -> Reading:
        level = trend.level
        is_near = level > first - (1 - self.near) * abs(first)
        fell = -trend.change > _FALLEN * abs(level)
        self._highest = max(self._highest, level)
        lower = level < self._highest - _LEARNED * abs(self._highest)
        self._learns = self._learns or lower or trend.steadiness < -2 * _FALLING
        bad = is_near and not fell and not self._learns and trend.steadiness > -_FALLING
        if bad:
            self._said = (
                f"The loss is {number(level)} (median over {trend.batches} batches) and does not "
                f"fall steadily; the very first one was {number(first)}. The model hardly learns: "
                "look at the learning rate (too high as well as too low), at the data, and whether "
                "gradients reach the parameters."
            )
        good = not is_near or self._learns
        return Reading(level, bad=bad, good=good, since=trend.since)
