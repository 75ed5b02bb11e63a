"""The run's own rows where several ranks train: one for each step, a mean over its ranks.

A run of one rank has no others than its own. Of several ranks the rows come step by step
(`rank_order`); a step's row is made as the last of its ranks is released, or, where one is
missing, as something else follows.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.rank_means import mean_over_ranks
from analyzer_service.commit.rank_order import PHASES, place_of
from shared.messages import BatchMetrics, Phase, RunStarted

RUN: Final = -1
"""Stands for the rank in the run's own rows."""

_MOST_RANKS: Final = "SELECT max(json_extract(started, '$.world_size')) FROM producers"
_LAST: Final = (
    "SELECT b.release, p.incarnation, b.phase, b.global_step, b.phase_step FROM batches b "
    f"JOIN producers p ON p.id = b.origin WHERE b.rank = {RUN} ORDER BY b.release DESC LIMIT 1"
)
_OPEN: Final = (
    "SELECT p.incarnation, b.origin, b.cseq, b.phase, b.name_list, b.metrics FROM batches b "
    "JOIN producers p ON p.id = b.origin WHERE b.release > ? AND b.superseded = 0 "
    f"AND b.rank > {RUN} AND b.ordinal IS NULL ORDER BY b.release"
)

Step = tuple[int, int, int, int]
"""Number of the start, and the step's place as `rank_order` has it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which record a row comes from: its producer's start, its cseq and its fixed facts."""

    origin: int
    cseq: int
    started: RunStarted


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of the run's; `origin` and `cseq` are those of its first rank's."""

    origin: int
    cseq: int
    phase: Phase
    values: dict[str, float]


@dataclass
class OpenStep:
    """Gathers the rows of the ranks at a step until its own row can be made.

    Ranks whose rows come only after that (they were given up, and came back) are in none; once
    the run is released again, they are.
    """

    _step: Step | None = None
    _first: tuple[int, int, Phase] | None = None
    _rows: list[Mapping[str, float]] = field(default_factory=list)
    _closed: Step | None = None

    def load(self, connection: sqlite3.Connection, lists: NameLists) -> None:
        """Find the step that is open in the database."""
        self._step, self._first, self._rows, self._closed = None, None, [], None
        if (connection.execute(_MOST_RANKS).fetchone()[0] or 1) == 1:
            return  # in a long run nothing but a look at all of its rows would find that out
        after = 0
        for release, *step in connection.execute(_LAST):
            after, self._closed = release, _step_of(*step)
        for start, origin, cseq, phase, number, blob in connection.execute(_OPEN, (after,)):
            row = lists.unpack(number, blob)
            step = _step_of(start, phase, int(row["global_step"]), int(row["phase_step"]))
            self._add(step, (origin, cseq, phase), row)

    def ends_before(self, start: int, batch: BatchMetrics) -> bool:
        """Tell whether a step is open, and `batch` of start number `start` is of a later one."""
        return self._step is not None and self._step < (start, *place_of(batch)[:3])

    def add(self, source: Source, batch: BatchMetrics, row: Mapping[str, float]) -> bool:
        """Take the row of a rank; True if that was the last one of its step."""
        started = source.started
        place = (started.incarnation, *place_of(batch)[:3])
        self._add(place, (source.origin, source.cseq, batch.phase), row)
        return len(self._rows) >= started.world_size

    def close(self) -> RunRow | None:
        """The row of the step that is open, which ends with it; None where there is none."""
        if self._step is None or self._first is None:
            return None
        row = RunRow(*self._first, mean_over_ranks(self._rows))
        self._closed, self._step, self._first, self._rows = self._step, None, None, []
        return row

    def _add(self, step: Step, first: tuple[int, int, Phase], row: Mapping[str, float]) -> None:
        if self._step is None and (self._closed is None or self._closed < step):
            self._step, self._first = step, first
        if self._step == step:
            self._rows.append(row)


def _step_of(start: int, phase: Phase, global_step: int, phase_step: int) -> Step:
    return (start, global_step, PHASES[phase], phase_step)
