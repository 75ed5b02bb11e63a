"""What W&B has not been told yet: the rows, epochs and dashboards after a position."""

import json
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from analyzer_service.commit.reader import AlertRecord, DashboardRecord, EpochRecord, Row, RunReader
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.plain import metrics_of
from analyzer_service.sinks.replacing import replacing
from analyzer_service.sinks.wandb_rows import log_epoch, log_image, log_row
from analyzer_service.sinks.wandb_summary import fold_row
from shared.messages import RunStarted

ROWS_AT_ONCE: Final = 100
IMAGES_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Position:
    """How far W&B has been told.

    Attributes
    ----------
    release : int
        Last row.
    dashboard : int
        Id of the last dashboard.
    epoch_release, epoch : int
        Where the last epoch ended, and its number; -1 before the first.
    alert_moment : int
        Moment of the last alert.
    rows, images : int
        How many rows of the run and dashboards were logged.
    summary : dict
        What goes to the run's summary at the end, so far.
    directories : tuple of str
        W&B's folders of this run, relative to the run's folder, oldest first.
    """

    release: int = 0
    dashboard: int = 0
    epoch_release: int = -1
    epoch: int = -1
    alert_moment: int = -1
    rows: int = 0
    images: int = 0
    summary: dict[str, float] = field(default_factory=dict)
    directories: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "Position":
        """Position of an earlier sink of this run; the start when there is none to read."""
        try:
            fields = json.loads(path.read_text("utf-8"))
            return cls.of(fields)
        except (OSError, ValueError, TypeError):
            return cls()

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Position":
        """Position of what `asdict` gave."""
        return cls(**(fields | {"directories": tuple(fields.get("directories", ()))}))

    def save(self, path: Path) -> None:
        """Keep this position; raises `SinkError` if the file cannot be written."""
        with replacing(path) as file:
            json.dump(asdict(self), file)


@dataclass(frozen=True)
class Entry:
    """One ``run.log`` call: values, and images as key to file."""

    values: dict[str, float]
    images: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Portion:
    """The next entries and alerts, the position after them, and whether more was there."""

    entries: list[Entry]
    position: Position
    more: bool
    alerts: list[AlertRecord] = field(default_factory=list)


def next_portion(reader: RunReader, position: Position) -> Portion:
    """The next rows (about `ROWS_AT_ONCE`), the epochs that they end, the next dashboards.

    Of several ranks whole steps are logged, each in one entry: the run's own numbers, which are
    means over its ranks, and those of each rank under keys of its own.
    """
    started = reader.started()
    steps, full = _next_steps(reader, position)
    entries = [Entry(_step_values(step, started)) for step in steps]
    reached = _after_steps(position, steps)
    for epoch in _epochs_due(reader, reached):
        entries.append(Entry(_epoch_values(reader, epoch)))
        reached = replace(reached, epoch_release=epoch.release, epoch=epoch.epoch)
    drawn = reader.dashboards(after=position.dashboard)[:IMAGES_AT_ONCE]
    for dashboard in drawn:
        entries.append(_image_entry(reader, dashboard))
        reached = replace(reached, dashboard=dashboard.id, images=reached.images + 1)
    alerts = reader.alerts(upto=reached.release, after_moment=position.alert_moment)
    if alerts:
        reached = replace(reached, alert_moment=alerts[-1].moment)
    more = full or len(drawn) == IMAGES_AT_ONCE
    return Portion(entries, reached, more, alerts)


def _next_steps(reader: RunReader, position: Position) -> tuple[list[list[Row]], bool]:
    """Rows after `position` by step, the run's own one with them; whether more may be there."""
    ended = reader.state().status != "running"  # asked first: no row comes after it
    limit = max(ROWS_AT_ONCE, 2 * (reader.most_ranks() + 1))
    rows = list(islice(reader.rows(after=position.release, of="both"), limit))
    full = len(rows) == limit
    steps = [list(step) for _, step in groupby(rows, key=_step_of)]
    if steps and not steps[-1][-1].of_run and (full or not ended):
        steps.pop()
    return steps, full


def _step_of(row: Row) -> tuple[Any, ...]:
    return tuple(row.values[name] for name in ("phase", "global_step", "phase_step"))


def _step_values(step: list[Row], started: RunStarted) -> dict[str, float]:
    logged: dict[str, float] = {}
    for row in step:
        logged |= log_row(row.values, started.layers, several=not row.of_run)
    return logged


def _after_steps(position: Position, steps: list[list[Row]]) -> Position:
    if not steps:
        return position
    summary = dict(position.summary)
    rows = [row for step in steps for row in step if row.of_run]
    for row in rows:
        fold_row(summary, row.values)
    last = steps[-1][-1].release
    return replace(position, release=last, rows=position.rows + len(rows), summary=summary)


def _epochs_due(reader: RunReader, position: Position) -> list[EpochRecord]:
    last = (position.epoch_release, position.epoch)
    return [
        epoch
        for epoch in reader.epochs()
        if (epoch.release, epoch.epoch) > last and epoch.release <= position.release
    ]


def _epoch_values(reader: RunReader, epoch: EpochRecord) -> dict[str, float]:
    tables = {"train": Table(), "val": Table()}
    for row in reader.rows(epoch=epoch.epoch, upto=epoch.release):
        tables[row.values["phase"]].add(metrics_of(row.values))
    return log_epoch(epoch.epoch, epoch.global_step, tables)


def _image_entry(reader: RunReader, dashboard: DashboardRecord) -> Entry:
    values = reader.row(dashboard.release).values
    key, steps = log_image(dashboard.phase, dashboard.number, values)
    return Entry(steps, {key: reader.folder / dashboard.file})
