"""Validation gets worse while training gets better."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from analyzer_service.alerts.reading import Reading, SeenRow, Worst
from analyzer_service.alerts.windows import Window
from analyzer_service.figures.wording import number
from shared.messages import Phase

_EPOCHS_OF_NOISE: Final = 12
_FEWEST_BENDS: Final = 3
_DEVIATIONS: Final = 3.0


@dataclass(kw_only=True)
class OverfittingRule:
    """Judged when an epoch ends, by the mean losses of its rows.

    Bad when the validation loss has been `rise` (relative) above its best epoch in the last
    `epochs` epochs, and the training loss below what it was in that best epoch. Where validation
    losses are noisy from epoch to epoch the best one is the luckiest: they must be three standard
    deviations of that noise above it, too, which is told by the last 12 epochs. Good when the
    validation loss is within half of that again.
    """

    rise: float
    epochs: int
    name: str = "overfitting"
    layer: str | None = None
    phase: Phase | None = None
    worst: Worst = "high"
    of_process: bool = False
    _sums: dict[str, float] = field(init=False, default_factory=dict)
    _counts: dict[str, int] = field(init=False, default_factory=dict)
    _epoch: int = field(init=False, default=-1)
    _best: float = field(init=False, default=math.inf)
    _train_at_best: float = field(init=False, default=math.inf)
    _best_epoch: int = field(init=False, default=-1)
    _since: tuple[int, float] = field(init=False, default=(0, 0.0))
    _worse: int = field(init=False, default=0)
    _now: tuple[float, float] = field(init=False, default=(math.nan, math.nan))
    _last: tuple[int, float] = field(init=False, default=(0, 0.0))
    _recent: Window = field(init=False, default_factory=lambda: Window(_EPOCHS_OF_NOISE))

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; always None, since an epoch is judged as a whole."""
        if row.epoch != self._epoch:
            self._epoch, self._sums, self._counts = row.epoch, {}, {}
        self._last = (row.step, row.at_s)
        loss = row.number("loss")
        if math.isfinite(loss):
            self._sums[row.phase] = self._sums.get(row.phase, 0.0) + loss
            self._counts[row.phase] = self._counts.get(row.phase, 0) + 1
        return None

    def end_epoch(self, epoch: int) -> Reading | None:
        """Judge `epoch`; None where it had no training, no validation, or no losses."""
        train, val = self._mean("train"), self._mean("val")
        if epoch != self._epoch or math.isnan(train) or math.isnan(val):
            return None
        self._now = train, val
        self._recent.push(val)
        if val < self._best:
            self._best, self._train_at_best = val, train
            self._best_epoch, self._since, self._worse = epoch, self._last, 0
            return Reading(1.0, bad=False, good=True)
        above = val - self._best
        margin = max(self.rise * abs(self._best), _DEVIATIONS * self._noise())
        self._worse = self._worse + 1 if above > margin else 0
        return Reading(
            val / self._best if self._best > 0 else math.nan,
            bad=self._worse >= self.epochs and train < self._train_at_best,
            good=above <= margin / 2,
            since=self._since,
        )

    def sentence(self) -> str:
        """Both losses, then and now, and what to look at."""
        train, val = self._now
        return (
            f"The model overfits: since epoch {self._best_epoch} the validation loss rose from "
            f"{number(self._best)} to {number(val)}, while the training loss fell from "
            f"{number(self._train_at_best)} to {number(train)}. Keep the checkpoint of that epoch; "
            "look at more data, augmentation, or weight decay."
        )

    def _noise(self) -> float:
        """Standard deviation from epoch to epoch, told by second differences: bends are none.

        Their median size is 0.6745 of their standard deviation, which is sqrt(6) of the values'.
        """
        losses = np.array(self._recent.values())
        if len(losses) < _FEWEST_BENDS + 2:
            return 0.0
        return float(np.median(np.abs(np.diff(losses, n=2)))) / (0.6745 * math.sqrt(6.0))

    def _mean(self, phase: str) -> float:
        count = self._counts.get(phase, 0)
        return self._sums[phase] / count if count else math.nan
