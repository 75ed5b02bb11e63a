"""Own analyses of a run: what they found goes into rows, until they fail three times in a row.

In a row is in the order of the rows of one rank. So who is switched off, and from which row on,
depends on the records and frames alone, not on which worker was done first. A rank's analysis
stays off until another source of it takes the run up.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from analyzer_service.commit.failing import Failures
from analyzer_service.commit.store import FoundFrame, Store
from analyzer_service.own.numbers import PREFIX
from shared.messages import BatchMetrics

MOST_FAILURES: Final = 3
FAILED: Final = "own_analysis"
OFF: Final = "own_off"
SOURCES_KEY: Final = "own_analyzers"
_STREAKS_KEY: Final = "own_streaks"


@dataclass(slots=True)
class _Streak:
    """Failures in a row of one source (its identity); at `MOST_FAILURES` it is off for good."""

    analyzer: str
    failures: int = 0

    @property
    def off(self) -> bool:
        return self.failures >= MOST_FAILURES

    def take(self, error: str | None) -> None:
        if not self.off:
            self.failures = 0 if error is None else self.failures + 1


class OwnResults:
    """Writes only inside a transaction; after one that failed, `load` puts things right."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures = Failures(store)
        self._streaks: dict[int, _Streak] = {}
        self._used = False

    def load(self) -> None:
        """Know what the released rows say."""
        self._used = self._store.get(SOURCES_KEY) is not None
        kept = json.loads(self._store.get(_STREAKS_KEY) or "{}")
        self._streaks = {int(rank): _Streak(*values) for rank, values in kept.items()}

    def adopt(self, name: str, sha256: str) -> None:
        """Note in the run's state that this source analyzes from now on."""
        known: list[dict[str, Any]] = json.loads(self._store.get(SOURCES_KEY) or "[]")
        source = {"name": name, "sha256": sha256}
        if known[-1:] != [source]:
            self._store.put(**{SOURCES_KEY: json.dumps([*known, source])})
        self._used = True

    def is_off(self, rank: int, analyzer: str) -> bool:
        """Tell whether rows of `rank` take nothing of `analyzer` any more."""
        streak = self._streaks.get(rank)
        return streak is not None and streak.analyzer == analyzer and streak.off

    def fill(
        self, batch: BatchMetrics, frame: FoundFrame, part: dict[str, float] | None
    ) -> dict[str, float] | None:
        """What a row takes of its frame's `part`; failures are counted on the way."""
        if not self._used or part is None:
            return part
        query = "SELECT analyzer, error FROM own_results WHERE frame = ?"
        found = self._store.connection.execute(query, (frame.id,)).fetchone()
        if found is None:
            return part
        analyzer, error = found
        streak = self._streak(batch.rank, analyzer)
        if streak.off:
            return {name: value for name, value in part.items() if not name.startswith(PREFIX)}
        before = streak.failures
        streak.take(error)
        if streak.failures != before:
            self._keep()
        if error is not None:
            self._count(batch, streak, error)
        return part

    def take_back(self) -> None:
        """Rows are superseded now: count again in those that are left."""
        if not self._streaks:
            return
        query = (
            "SELECT b.rank, o.analyzer, o.error FROM batches b JOIN own_results o "
            "ON o.frame = b.frame WHERE b.superseded = 0 ORDER BY b.release"
        )
        self._recount(self._store.connection.execute(query))
        self._keep()

    def clear(self) -> None:
        """Forget everything, for rows that will be released again."""
        self._streaks.clear()
        self._store.put(**{_STREAKS_KEY: None})

    def _recount(self, found: Iterable[tuple[int, str, str | None]]) -> None:
        self._streaks.clear()
        for rank, analyzer, error in found:
            self._streak(rank, analyzer).take(error)

    def _streak(self, rank: int, analyzer: str) -> _Streak:
        streak = self._streaks.get(rank)
        if streak is None or streak.analyzer != analyzer:
            streak = self._streaks[rank] = _Streak(analyzer)
        return streak

    def _keep(self) -> None:
        streaks = {rank: [each.analyzer, each.failures] for rank, each in self._streaks.items()}
        self._store.put(**{_STREAKS_KEY: json.dumps(streaks)})

    def _count(self, batch: BatchMetrics, streak: _Streak, error: str) -> None:
        name = streak.analyzer.partition("@")[0]
        rank = f" of rank {batch.rank}" if batch.rank else ""
        where = f"{batch.phase} batch {batch.phase_step}{rank}"
        self._failures.count(FAILED, f"{name}: {where}: {error}")
        if streak.off:
            words = f"{name} is switched off after {MOST_FAILURES} failures in a row, at {where}"
            self._store.count_failure(OFF, words)
            self._store.say(logging.WARNING, f"{words}; everything else goes on")
