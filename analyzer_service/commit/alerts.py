"""Alerts of a run, found as its rows are released.

The engine's state is kept with every `KEPT_EVERY`th row. From there it is made again of the rows
that came after, exactly: when an analyzer takes the run up, and when a resume takes rows back.
So alerts depend on the released rows and on the settings alone.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from analyzer_service.alerts.engine import AlertEngine, Change
from analyzer_service.alerts.reading import SeenRow
from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.alerts.titles import title
from analyzer_service.commit.run_rows import RUN
from analyzer_service.commit.store import Store
from analyzer_service.commit.views import AlertRecord
from shared.codec import decode_payload
from shared.messages import BatchMetrics, RunStarted

KEPT_EVERY: Final = 512
SETTINGS_KEY: Final = "alert_settings"
_PAGE: Final = 512
_NOWHERE: Final = 2**62
_TOLD: Final = ("loss", "mse")
_INSERT: Final = (
    "INSERT INTO alerts (name, layer, phase, rank, moment, release, step, at, since_step, "
    f"since_at, last_step, last_at, peak, sentence) VALUES ({', '.join('?' * 14)})"
)
_OPEN: Final = "WHERE name = ? AND layer IS ? AND rank = ? AND cleared_release IS NULL"


class RunAlerts:
    """Looks at each released row, and keeps the episodes; writes only inside a transaction.

    After a transaction that failed, `load` puts what is held here right. A rule that raises is
    counted, and costs the run nothing else.
    """

    def __init__(self, store: Store, settings: AlertSettings) -> None:
        self._store = store
        self._settings = settings
        self._engine = AlertEngine(settings)
        self._starts: dict[int, RunStarted] = {}
        self._fired: list[AlertRecord] = []
        self._written: dict[tuple[str, str | None, int], tuple[float, ...]] = {}
        self._failed = 0

    def load(self) -> None:
        """Know what the rows up to the last one say; writes nothing."""
        self._fired.clear()
        if self._store.get(SETTINGS_KEY) == self._settings.judged():
            self._go_over(write_from=_NOWHERE)

    def adopt(self) -> None:
        """Go by these settings: a run that went by others is judged anew from its first row."""
        if self._store.get(SETTINGS_KEY) == self._settings.judged():
            return
        self.clear()
        self._store.put(**{SETTINGS_KEY: self._settings.judged()})
        self._go_over(write_from=0)
        self.settle()

    def row(
        self,
        release: int,
        origin: int,
        started: RunStarted,
        batch: BatchMetrics,
        values: dict[str, float],
    ) -> None:
        """Look at a row that is being released."""
        self._starts.setdefault(origin, started)
        seen = _seen(release, origin, started, batch, values)
        for change in self._look(lambda: self._engine.row(seen, _layers(started))):
            self._write(change, 2 * release)
            self._say(change, started.run_name)
        if release % KEPT_EVERY == 0:
            self._store.connection.execute(
                "INSERT OR REPLACE INTO alert_states VALUES (?, ?)", (release, self._engine.dump())
            )

    def epoch_ended(self, epoch: int, release: int) -> None:
        """Look at an epoch that ended after row `release`."""
        for change in self._look(lambda: self._engine.epoch_ended(epoch)):
            self._write(change, 2 * release + 1)
            self._say(change, self._starts[change.row.start].run_name)

    def take_back(self, first: int) -> None:
        """Rows from `first` on are superseded, some of them at least: go on from before it."""
        execute = self._store.connection.execute
        execute("DELETE FROM alert_states WHERE release >= ?", (first,))
        execute("DELETE FROM alerts WHERE release >= ?", (first,))
        execute(
            "UPDATE alerts SET cleared_release = NULL, cleared_step = NULL, cleared_at = NULL "
            "WHERE cleared_release >= ?",
            (first,),
        )
        self._fired = [alert for alert in self._fired if alert.release < first]
        self._go_over(write_from=first)
        self.settle()

    def settle(self) -> None:
        """Write how far the episodes that go on have come."""
        for rank, watch in self._engine.open():
            key = (watch.rule.name, watch.rule.layer, rank)
            now = (watch.last[1], watch.last[2], watch.peak)
            if self._written.get(key) != now:
                self._written[key] = now
                query = f"UPDATE alerts SET last_step = ?, last_at = ?, peak = ? {_OPEN}"
                self._store.connection.execute(query, (*now[:2], _or_null(now[2]), *key))

    def clear(self) -> None:
        """Forget everything, for rows that will be released again."""
        for table in ("alerts", "alert_states"):
            self._store.connection.execute(f"DELETE FROM {table}")
        self._engine = AlertEngine(self._settings)
        self._fired.clear()
        self._written.clear()

    def take_fired(self) -> list[AlertRecord]:
        """Alerts that fired since this was called last; ask once they are committed."""
        fired, self._fired = self._fired, []
        return fired

    def _go_over(self, *, write_from: int) -> None:
        """Make the engine anew of a kept state and the rows after it; write what is later."""
        self._engine, after = self._kept()
        self._written.clear()
        for moment, look in self._steps(after):
            for change in self._look(look):
                if moment >= 2 * write_from:
                    self._write(change, moment)

    def _kept(self) -> tuple[AlertEngine, int]:
        query = "SELECT release, state FROM alert_states ORDER BY release DESC LIMIT 1"
        found = self._store.connection.execute(query).fetchone()
        engine = AlertEngine(self._settings)
        if found is None:
            return engine, 0
        try:
            engine.restore(found[1])
        except (KeyError, TypeError, ValueError):  # kept by another version
            return AlertEngine(self._settings), 0
        return engine, int(found[0])

    def _steps(self, after: int) -> Iterator[tuple[int, Callable[[], list[Change]]]]:
        """Rows beyond `after` and the ends of epochs from it on, each with its moment."""
        query = (
            "SELECT epoch, release FROM epochs WHERE superseded = 0 AND release >= ? ORDER BY id"
        )
        epochs = self._store.connection.execute(query, (after,)).fetchall()
        ended = iter(epochs)
        epoch = next(ended, None)
        for row, layers in self._rows(after):
            while epoch is not None and epoch[1] < row.release:
                yield self._end_of(*epoch)
                epoch = next(ended, None)
            yield 2 * row.release, lambda row=row, layers=layers: self._engine.row(row, layers)  # type: ignore[misc]
        while epoch is not None:
            yield self._end_of(*epoch)
            epoch = next(ended, None)

    def _end_of(self, epoch: int, release: int) -> tuple[int, Callable[[], list[Change]]]:
        return 2 * release + 1, lambda: self._engine.epoch_ended(epoch)

    def _rows(self, after: int) -> Iterator[tuple[SeenRow, list[str]]]:
        query = (
            "SELECT b.release, b.origin, b.name_list, b.metrics, r.payload FROM batches b "
            "JOIN records r ON r.origin = b.origin AND r.cseq = b.cseq WHERE b.superseded = 0 "
            f"AND b.rank > {RUN} AND b.release > ? ORDER BY b.release LIMIT {_PAGE}"
        )
        while page := self._store.connection.execute(query, (after,)).fetchall():
            for release, origin, names, blob, payload in page:
                batch, started = decode_payload(payload), self._started(origin)
                assert isinstance(batch, BatchMetrics), "a row comes from a batch"
                values = self._store.lists.unpack(names, blob)
                yield _seen(release, origin, started, batch, values), _layers(started)
            after = page[-1][0]

    def _started(self, origin: int) -> RunStarted:
        if origin not in self._starts:
            query = "SELECT started FROM producers WHERE id = ?"
            (text,) = self._store.connection.execute(query, (origin,)).fetchone()
            self._starts[origin] = RunStarted.model_validate_json(text)
        return self._starts[origin]

    def _look(self, look: Callable[[], list[Change]]) -> list[Change]:
        try:
            return look()
        except sqlite3.Error:
            raise
        except Exception as error:  # the stage's edge: an alert must not cost a row
            self._failed += 1
            what = f"{type(error).__name__}: {error}"
            if self._store.connection.in_transaction:
                self._store.count_failure("alerts", what)
            if self._failed == 1:
                self._store.say(logging.ERROR, f"an alert's rule failed: {what}")
            return []

    def _write(self, change: Change, moment: int) -> None:
        row = change.row
        key = (change.name, change.layer, row.rank)
        self._written.pop(key, None)
        if change.how == "cleared":
            self._store.connection.execute(
                f"UPDATE alerts SET cleared_release = ?, cleared_step = ?, cleared_at = ?, "
                f"peak = ? {_OPEN}",
                (row.release, row.step, row.at_s, _or_null(change.peak), *key),
            )
            return
        place = (row.release, row.step, row.at_s)
        values = (
            *(change.name, change.layer, row.phase, row.rank, moment, *place, *change.since),
            *(row.step, row.at_s),
        )
        self._store.connection.execute(_INSERT, (*values, _or_null(change.peak), change.sentence))
        self._fired.append(AlertRecord(*values, change.peak, change.sentence))

    def _say(self, change: Change, run_name: str) -> None:
        what = f"{run_name}: {title(change.name, change.layer)}"
        if change.row.rank:
            what += f" of rank {change.row.rank}"
        if change.how == "fired":
            words = f"{what}, at step {change.row.step:,}. {change.sentence}"
            self._store.say(logging.WARNING, words)
        else:
            self._store.say(logging.INFO, f"{what}: over at step {change.row.step:,}")


def _seen(
    release: int, origin: int, started: RunStarted, batch: BatchMetrics, values: dict[str, float]
) -> SeenRow:
    planned = started.total_steps or 0
    return SeenRow(
        release=release,
        phase=batch.phase,
        epoch=batch.epoch,
        step=batch.global_step,
        rank=batch.rank,
        at_s=batch.captured_at_ns / 1e9,
        start=origin,
        values=values,
        offered=batch.frame is not None,
        told=frozenset(name for name in _TOLD if getattr(batch, name) is not None),
        progress=batch.global_step / planned if planned > 0 else math.nan,
    )


def _layers(started: RunStarted) -> list[str]:
    return [layer.name for layer in started.layers if layer.kind == "attention"]


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
