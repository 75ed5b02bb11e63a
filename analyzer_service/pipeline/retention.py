"""Which dashboards a long run keeps: every Nth one, and the latest.

Of training every Nth dashboard in the order of its steps; of validation those of every Nth epoch,
so that the tiles of an epoch stay together. The latest are kept besides until newer ones are
drawn. What is kept depends on the run's steps alone, not on when anything was drawn: a replay
with the same N keeps the same. Where a resume takes the latest ones back, those before them are
drawn again.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from analyzer_service.commit.store import Store
from shared.messages import Phase

KEEP_KEY: Final = "keep_dashboards"
_PHASES: Final[tuple[Phase, ...]] = ("train", "val")
_NEVER_LOOKED: Final = -1


class _Drawn(NamedTuple):
    """A dashboard that is there."""

    number: int
    epoch: int
    file: str


@dataclass
class KeptDashboards:
    """Lets go of dashboards, inside transactions of the store; of none if `every` is None."""

    store: Store
    every: int | None
    _latest: dict[Phase, int | None] = field(default_factory=dict)
    _seen: dict[Phase, int | None] = field(default_factory=dict)
    _staying: defaultdict[Phase, set[int]] = field(default_factory=lambda: defaultdict(set))

    def adopt(self) -> None:
        """Note what the run goes by, for its report."""
        if self.every is not None:
            self.store.put(**{KEEP_KEY: self.every})

    def settle(self, *, drawn: bool) -> list[str]:
        """Let go of what need not be kept; return its files, to be deleted.

        `drawn` says that this transaction has new ones.
        """
        if self.every is None or self.every == 1:
            return []
        return [file for phase in _PHASES for file in self._settle(phase, drawn=drawn)]

    def settled(self) -> None:
        """The transaction of `settle` has ended."""
        self._latest.update(self._seen)

    def _settle(self, phase: Phase, *, drawn: bool) -> list[str]:
        query = "SELECT max(number) FROM dashboards WHERE phase = ?"
        (latest,) = self.store.connection.execute(query, (phase,)).fetchone()
        before = self._latest.get(phase, _NEVER_LOOKED)
        self._seen[phase] = latest
        if before == latest and not drawn:
            return []
        if latest is None or before is None or before == _NEVER_LOOKED or latest < before:
            self._staying[phase].clear()
            self._bring_back(phase, latest or 0)
        return [] if latest is None else self._let_go(phase, latest)

    def _let_go(self, phase: Phase, latest: int) -> list[str]:
        query = (
            "SELECT d.number, b.epoch, d.file FROM dashboards d "
            "JOIN batches b ON b.release = d.release WHERE d.phase = ? ORDER BY d.number"
        )
        there = [_Drawn(*found) for found in self.store.connection.execute(query, (phase,))]
        files, staying = [], self._staying[phase]
        for each in there:
            newest = each.number == latest if phase == "train" else each.epoch == there[-1].epoch
            if newest or each.number in staying:
                continue
            if self._stays(phase, each):
                staying.add(each.number)
            else:
                self._remove(phase, each.number)
                files.append(each.file)
        return files

    def _stays(self, phase: Phase, drawn: _Drawn) -> bool:
        assert self.every is not None, "asked only where some are let go"
        if phase == "val":
            return (drawn.epoch + 1) % self.every == 0
        query = "SELECT count(*) FROM jobs WHERE kind = 'dashboard' AND phase = ? AND number <= ?"
        (place,) = self.store.connection.execute(query, (phase, drawn.number)).fetchone()
        return int(place) % self.every == 0

    def _remove(self, phase: Phase, number: int) -> None:
        execute = self.store.connection.execute
        execute("DELETE FROM dashboards WHERE phase = ? AND number = ?", (phase, number))
        execute(
            "UPDATE jobs SET state = 'removed' "
            "WHERE kind = 'dashboard' AND phase = ? AND number = ?",
            (phase, number),
        )

    def _bring_back(self, phase: Phase, latest: int) -> None:
        """Make due again what is newer than everything that is there."""
        query = (
            "SELECT j.id, j.number, b.epoch FROM jobs j JOIN batches b ON b.release = j.release "
            "WHERE j.kind = 'dashboard' AND j.phase = ? AND j.state = 'removed' AND j.number > ? "
            "ORDER BY j.number"
        )
        newer = self.store.connection.execute(query, (phase, latest)).fetchall()
        for id_, number, epoch in newer:
            if number == newer[-1][1] or (phase == "val" and epoch == newer[-1][2]):
                self.store.connection.execute(
                    "UPDATE jobs SET state = 'due', file = NULL WHERE id = ?", (id_,)
                )
