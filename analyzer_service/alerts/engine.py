"""Rows in, alerts out: every rule of a run, and which of them speaks at the moment."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgpack

from analyzer_service.alerts.catalog import rules_of_layers, rules_of_rank, rules_of_run
from analyzer_service.alerts.keeping import dump, restore
from analyzer_service.alerts.overfitting import OverfittingRule
from analyzer_service.alerts.reading import Reading, Rule, SeenRow
from analyzer_service.alerts.settings import AlertSettings
from shared.messages import Phase

_FIRST_RANK: Final = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that fires or clears as of a row.

    `since` is where what it says began, a global step and a time in seconds since the Unix
    epoch; `peak` is the worst value so far. `sentence` is empty when it clears.
    """

    how: Literal["fired", "cleared"]
    name: str
    layer: str | None
    row: SeenRow
    since: tuple[int, float]
    peak: float
    sentence: str = ""


@dataclass
class Watch:
    """A rule, and the episode that it is in, if any."""

    rule: Rule
    active: bool = field(init=False, default=False)
    since: tuple[int, float] = field(init=False, default=(0, 0.0))
    peak: float = field(init=False, default=math.nan)
    last: tuple[int, int, float] = field(init=False, default=(0, 0, 0.0))
    """Release, step and time of the last row at which it was bad."""

    @property
    def key(self) -> str:
        """What tells it from the others of its rank."""
        return f"{self.rule.name}/{self.rule.layer or ''}"

    def take(self, row: SeenRow, reading: Reading) -> Change | None:
        """Begin, go on with, or end an episode."""
        if not self.active:
            return self._fire(row, reading) if reading.bad else None
        self.peak = self._worse(reading.value)
        if reading.good:
            return self.clear(row)
        if reading.bad:
            self.last = (row.release, row.step, row.at_s)
        return None

    def clear(self, row: SeenRow) -> Change:
        """End the episode."""
        self.active = False
        return Change("cleared", self.rule.name, self.rule.layer, row, self.since, self.peak)

    def _fire(self, row: SeenRow, reading: Reading) -> Change:
        self.active, self.peak = True, reading.value
        self.since = reading.since or (row.step, row.at_s)
        self.last = (row.release, row.step, row.at_s)
        said = self.rule.sentence()
        return Change("fired", self.rule.name, self.rule.layer, row, self.since, self.peak, said)

    def _worse(self, value: float) -> float:
        if math.isnan(value) or math.isnan(self.peak):
            return self.peak if math.isnan(value) else value
        return max(value, self.peak) if self.rule.worst == "high" else min(value, self.peak)


@dataclass
class _Rank:
    """The watches of one rank; `start` is the start of it whose rows came last."""

    start: int
    layers: tuple[str, ...]
    watches: dict[str, Watch]
    last: SeenRow | None = None
    _looking: dict[tuple[Phase, bool], list[Watch]] = field(default_factory=dict)

    def looking(self, row: SeenRow) -> list[Watch]:
        """Those that look at such a row: of layers only where tiles were analyzed."""
        key = row.phase, row.number("samples") > 0
        if key not in self._looking:
            self._looking[key] = [
                watch
                for watch in self.watches.values()
                if watch.rule.phase in (None, row.phase) and (watch.rule.layer is None or key[1])
            ]
        return self._looking[key]

    def begin_anew(self, start: int, layers: tuple[str, ...], watches: dict[str, Watch]) -> None:
        """Go on with another start of the rank."""
        self.start, self.layers, self.watches = start, layers, watches
        self._looking.clear()


class AlertEngine:
    """Looks at released rows in their order; a pure function of them and of the settings.

    Memory does not grow with the rows. `dump` gives everything that matters for what comes.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._ranks: dict[int, _Rank] = {}

    def row(self, row: SeenRow, layers: Sequence[str] = ()) -> list[Change]:
        """Look at a row; `layers` are the attention layers of its run."""
        rank = self._ranks.get(row.rank)
        changes: list[Change] = []
        if rank is None:
            rank = self._ranks[row.rank] = self._new(row.rank, row.start, tuple(layers))
        elif rank.start != row.start:
            changes += self._start_anew(rank, row, tuple(layers))
        rank.last = row
        for watch in rank.looking(row):
            reading = watch.rule.look(row)
            change = None if reading is None else watch.take(row, reading)
            if change is not None:
                changes.append(change)
        return changes

    def epoch_ended(self, epoch: int) -> list[Change]:
        """Look at an epoch that ended after the last row of rank 0."""
        rank = self._ranks.get(_FIRST_RANK)
        if rank is None or rank.last is None:
            return []
        changes = []
        for watch in rank.watches.values():
            if isinstance(watch.rule, OverfittingRule):
                reading = watch.rule.end_epoch(epoch)
                change = None if reading is None else watch.take(rank.last, reading)
                changes += [] if change is None else [change]
        return changes

    def open(self) -> Iterator[tuple[int, Watch]]:
        """Episodes that go on, each with its rank."""
        for number, rank in self._ranks.items():
            for watch in rank.watches.values():
                if watch.active:
                    yield number, watch

    def dump(self) -> bytes:
        """Everything that changes, to go on from here."""
        return msgpack.packb([_rank_state(*each) for each in self._ranks.items()])  # type: ignore[no-any-return]

    def restore(self, state: bytes) -> None:
        """Go on from where `dump` was called on an engine of the same settings.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none of this version's.
        """
        self._ranks = {}
        for kept in msgpack.unpackb(state):
            rank = self._new(kept["rank"], kept["start"], tuple(kept["layers"]))
            for key, watch in rank.watches.items():
                restore(watch, kept["watches"][key]["watch"])
                restore(watch.rule, kept["watches"][key]["rule"])
            rank.last = None if kept["last"] is None else _row_of(kept["last"])
            self._ranks[kept["rank"]] = rank

    def _new(self, number: int, start: int, layers: tuple[str, ...]) -> _Rank:
        return _Rank(start, layers, self._watches(number, layers))

    def _watches(self, number: int, layers: tuple[str, ...]) -> dict[str, Watch]:
        rules = rules_of_rank(self._settings)
        if number == _FIRST_RANK:
            rules += rules_of_run(self._settings)
            rules += rules_of_layers(self._settings, layers)
        watches = [Watch(rule) for rule in rules if rule.name not in self._settings.off]
        return {watch.key: watch for watch in watches}

    def _start_anew(self, rank: _Rank, row: SeenRow, layers: tuple[str, ...]) -> list[Change]:
        """Another process: what measures the process begins anew, and its episodes are over."""
        changes = []
        fresh = self._watches(row.rank, layers)
        for key, watch in rank.watches.items():
            if key in fresh and not watch.rule.of_process:
                fresh[key] = watch
            elif watch.active:
                changes.append(watch.clear(row))
        rank.begin_anew(row.start, layers, fresh)
        return changes


def _rank_state(number: int, rank: _Rank) -> dict[str, Any]:
    return {
        "rank": number,
        "start": rank.start,
        "layers": rank.layers,
        "last": None if rank.last is None else _row_state(rank.last),
        "watches": {
            key: {"watch": dump(watch), "rule": dump(watch.rule)}
            for key, watch in rank.watches.items()
        },
    }


def _row_state(row: SeenRow) -> list[Any]:
    return [row.release, row.phase, row.epoch, row.step, row.rank, row.at_s, row.start]


def _row_of(state: list[Any]) -> SeenRow:
    """A row that stands for its place only: an epoch ended after it."""
    release, phase, epoch, step, rank, at_s, start = state
    return SeenRow(release, phase, epoch, step, rank, at_s, start, values={})
