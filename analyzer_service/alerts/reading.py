"""What a rule is: it looks at the rows of a run, one by one, and says what it thinks of each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from shared.messages import Phase

Worst = Literal["high", "low"]

JUDGED_EVERY: Final = 5
"""Rules of windows take every row in and judge every fifth: a window of 50 moves no faster."""


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A released row as rules see it.

    Attributes
    ----------
    release, phase, epoch, step, rank
        Which row it is; `step` is its global step.
    at_s : float
        When its batch ended on the trainer's clock, in seconds since the Unix epoch.
    start : int
        Which start of its producer it comes from: memory and times of two are not compared.
    values : mapping
        The row's numbers, as docs/architecture.md lists them; NaN is undefined.
    offered : bool
        Whether the batch named a frame.
    told : frozenset of str
        Which of "loss" and "mse" the trainer itself gave, NaN and infinity too.
    progress : float
        Share of the planned steps that are done; NaN where nothing is planned.
    """

    release: int
    phase: Phase
    epoch: int
    step: int
    rank: int
    at_s: float
    start: int
    values: Mapping[str, float]
    offered: bool = True
    told: frozenset[str] = frozenset()
    progress: float = math.nan

    def number(self, name: str) -> float:
        """A number of the row, NaN where it has none."""
        return self.values.get(name, math.nan)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule thinks of the series as of a row.

    Between `bad` and `good` nothing changes: that is the hysteresis. `since` is where it began,
    if that was before this row: a global step and a time.
    """

    value: float
    bad: bool
    good: bool
    since: tuple[int, float] | None = None


class Rule(Protocol):
    """One thing that may be wrong with a run.

    Whatever changes in a rule stands in dataclass fields with ``init=False``, so that it can be
    kept and taken up again (`keeping.dump`). Memory is bounded and a look takes microseconds.

    Attributes
    ----------
    name : str
        Name of the alert, the same in files, metrics and settings.
    layer : str or None
        Layer that it speaks of.
    phase : str
        Whose rows it looks at; None for those of both phases.
    worst : str
        Whether a higher or a lower value is worse.
    of_process : bool
        Whether it measures the trainer's process, so that another start begins anew.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def layer(self) -> str | None: ...  # noqa: D102
    @property
    def phase(self) -> Phase | None: ...  # noqa: D102
    @property
    def worst(self) -> Worst: ...  # noqa: D102
    @property
    def of_process(self) -> bool: ...  # noqa: D102

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row of its phase in; None where there is nothing to judge (yet)."""

    def sentence(self) -> str:
        """What is seen and what to look at, as of the last look."""
