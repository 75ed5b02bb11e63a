"""Where one run stands, read with a handful of quick queries."""

import math
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from analyzer_service.commit.latest import LatestRow
from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.page.folders import NOT_UNDERSTOOD, closed
from shared.errors import SidelightError
from shared.messages import RunStarted

Standing = Literal["running", "finished", "failed", "interrupted", "unreadable"]
_BEING_MADE: Final = "It holds nothing yet: the analyzer is only making it. Look again in a moment."


@dataclass(frozen=True, slots=True)
class RunStanding:
    """What the list shows of a run, as it is committed.

    Times are seconds since the Unix epoch; `progress` is the trained share, from 0 to 1, None
    where the run did not say how long it is to be. Numbers that are undefined are NaN.
    """

    status: Standing
    error: str | None = None
    project: str | None = None
    device: str | None = None
    world_size: int | None = None
    started_at: float | None = None
    last_row_at: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    epoch: int | None = None
    max_epochs: int | None = None
    total_steps: int | None = None
    step: int | None = None
    progress: float | None = None
    batches: dict[str, int] = field(default_factory=lambda: {"train": 0, "val": 0})
    loss: float = math.nan
    ssim: float = math.nan
    val_loss: float = math.nan
    val_ssim: float = math.nan
    alerts: int = 0
    alerts_active: int = 0


def read_standing(folder: Path) -> RunStanding | None:
    """Where the run in `folder` stands; what cannot be read says why, None if it is gone."""
    try:
        with RunReader(folder, unchanged=True) as reader:
            return _read(reader)
    except PermissionError:
        return RunStanding("unreadable", error=closed(folder))
    except (SidelightError, sqlite3.Error, OSError, *NOT_UNDERSTOOD) as error:
        if not run_database(folder).exists():
            return None  # it was deleted meanwhile
        return RunStanding("unreadable", error=_in_words(error, folder))


def _read(reader: RunReader) -> RunStanding:
    starts = reader.incarnations()
    if not starts:
        return RunStanding("unreadable", error=_BEING_MADE)
    state = reader.state()
    train, val = reader.latest("train"), reader.latest("val")
    counted = {on: reader.count_alerts(upto=state.released, active=on) for on in (False, True)}
    rows = [row for row in (train, val) if row is not None]
    latest = starts[-1]
    return RunStanding(
        status=state.status,
        project=latest.project,
        device=latest.device,
        world_size=latest.world_size,
        started_at=starts[0].started_at_ns / 1e9,
        last_row_at=max((row.timestamp for row in rows), default=None),
        ended_at=None if state.ended_at_ns is None else state.ended_at_ns / 1e9,
        reason=state.reason,
        epoch=max((row.epoch for row in rows), default=None),
        max_epochs=_planned(latest.max_epochs),
        total_steps=_planned(latest.total_steps),
        step=None if train is None else train.global_step,
        progress=_progress(latest, train),
        batches={"train": train.rows if train else 0, "val": val.rows if val else 0},
        loss=train.loss if train else math.nan,
        ssim=train.ssim if train else math.nan,
        val_loss=val.loss if val else math.nan,
        val_ssim=val.ssim if val else math.nan,
        alerts=sum(counted[False].values()),
        alerts_active=sum(counted[True].values()),
    )


def _planned(number: int | None) -> int | None:
    """A number of steps or epochs; Lightning says -1 for one that is open."""
    return number if number is not None and number > 0 else None


def _progress(started: RunStarted, train: LatestRow | None) -> float | None:
    total = _planned(started.total_steps)
    if total is None:
        return None
    return 0.0 if train is None else min(1.0, train.global_step / total)


def _in_words(error: Exception, folder: Path) -> str:
    """Why a run cannot be read, without the path that its reader knows already."""
    said = str(error).replace(f"{folder}/", "")
    if isinstance(error, SidelightError | OSError):
        return said
    if isinstance(error, sqlite3.OperationalError) and "no such" in said:
        return f"It was written only in part, or by a version that is not known here ({said})."
    if isinstance(error, sqlite3.Error):
        return f"metrics.sqlite is damaged ({said}). `verify` says what is left of it."
    return f"metrics.sqlite holds what this version does not understand ({type(error).__name__})."
