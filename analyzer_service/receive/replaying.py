"""`replay`: recordings, workers and a progress bar, from start to end."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.analyses.tissue_facts import VectorChoice
from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.own.source import OwnSource
from analyzer_service.pipeline.settings import FRAMES_LIMIT_BYTES, PipelineSettings
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.machines import budget_bytes, make_workers
from analyzer_service.receive.replay import Replay, Replayed
from analyzer_service.receive.runs import RunsSettings, check_folder
from analyzer_service.settings import check_output_dir
from analyzer_service.sinks.wandb_outcome import Mode
from analyzer_service.workers import PoolWorkers

RUNS_AT_ONCE: Final = 8


@dataclass(frozen=True)
class ReplaySettings:
    """How to replay; `speed` None takes no time between messages."""

    output_dir: Path
    wandb_mode: Mode = "disabled"
    project: str | None = None
    workers: int = 1
    cluster: ClusterSettings | None = None
    speed: float | None = None
    stain_vectors: VectorChoice = "ruifrok"
    nuclei_outline: bool = True
    alerts: AlertSettings = DEFAULT
    own: OwnSource | None = None
    own_timeout_s: float = 30.0
    keep_dashboards: int | None = None
    frames_limit_bytes: int = FRAMES_LIMIT_BYTES


def replay_files(paths: Sequence[Path], settings: ReplaySettings) -> list[str]:
    """Replay `paths` together; return what is to be said about it, line by line.

    Raises
    ------
    RecordingError
        If a file cannot be read or is no recording.
    ConfigurationError
        If the files or the output folder cannot be used.
    SinkError
        If results cannot be written.
    """
    inventory = Inventory(paths)
    output_dir = check_output_dir(settings.output_dir)
    runs = RunsSettings(
        output_dir=output_dir,
        wandb_mode=settings.wandb_mode,
        project=settings.project,
        pipeline=PipelineSettings(
            stain_vectors=settings.stain_vectors,
            nuclei_outline=settings.nuclei_outline,
            alerts=settings.alerts,
            own=settings.own,
            own_timeout_s=settings.own_timeout_s,
            keep_dashboards=settings.keep_dashboards,
            frames_limit_bytes=settings.frames_limit_bytes,
        ),
    )
    for held in inventory.runs.values():
        check_folder(output_dir, held.run_id, held.run_name)
    with closing(make_workers(settings.workers, settings.cluster)) as workers:
        replayed = _replay_parts(inventory, workers, runs, settings.speed)
    return describe(replayed)


def _replay_parts(
    inventory: Inventory,
    workers: PoolWorkers | ClusterWorkers,
    runs: RunsSettings,
    speed: float | None,
) -> Replayed:
    """Some runs at a time, so that of thousands few files and databases are open."""
    parts = inventory.split(RUNS_AT_ONCE) if speed is None else [inventory]
    done, replayed = 0, Replayed([])
    with _progress() as progress:
        task = progress.add_task("replaying", total=inventory.items)
        for part in parts:
            replay = Replay(
                part, workers, runs, speed=speed, budget_bytes=partial(budget_bytes, workers)
            )
            found = replay.run(partial(_show, progress, task, done))
            done += part.items
            progress.update(task, completed=done)
            replayed.runs.extend(found.runs)
            replayed.damage.extend(found.damage)
    return replayed


def _show(progress: Progress, task: TaskID, before: int, count: int) -> None:
    progress.update(task, completed=before + count)


def describe(replayed: Replayed) -> list[str]:
    """Lines that say where the results are and what the recordings lacked."""
    lines = []
    for run in replayed.runs:
        lines += [f"Run folder  {run.folder}", f"Report      {run.report}"]
        lines += [f"With plots  {run.page}"]
        lines += [f"Missing     {sentence}" for sentence in run.missing]
    return lines + [f"Damaged     {sentence}" for sentence in replayed.damage]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
