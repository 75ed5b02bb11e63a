"""The runs that are being received: opened, committed in time, ended."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer_service.alerts.settings import NotifySettings
from analyzer_service.commit.database import holds_run
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Committed, PipelineSettings, RunPipeline
from analyzer_service.receive.books import log_end
from analyzer_service.receive.ending import Ending
from analyzer_service.receive.live_run import LiveRun
from analyzer_service.receive.recorder import Recorder
from analyzer_service.receive.stalls import Stalls
from analyzer_service.sinks.notifier import Notifier
from analyzer_service.sinks.wandb_outcome import Mode
from analyzer_service.sinks.wandb_sink import WandbSink
from analyzer_service.workers import Workers
from shared.errors import ConfigurationError, RecordingError
from shared.messages import RunStarted
from shared.naming import run_folder_name
from shared.recording import Recorded

logger = logging.getLogger(__name__)

_COMMIT_INTERVAL_S: Final = 0.05
_COMMIT_RECORDS: Final = 64
_IDLE_COMMIT_INTERVAL_S: Final = 0.25
_NOTIFY_S: Final = 5.0


@dataclass(frozen=True)
class RunsSettings:
    """Where runs are written and what else is done with them.

    `project` None takes the W&B project that the producer names. A recording of more than
    `record_limit_bytes` loses its oldest segments. A producer that is silent for
    `producer_timeout_s` is lost. W&B has `wandb_timeout_s` for its end. Alerts are sent as `notify`
    says.
    """

    output_dir: Path
    wandb_mode: Mode = "disabled"
    project: str | None = None
    record: bool = False
    record_limit_bytes: int | None = None
    producer_timeout_s: float = 30.0
    wandb_timeout_s: float = 10.0
    notify: NotifySettings = NotifySettings()  # noqa: RUF009 - frozen
    pipeline: PipelineSettings = PipelineSettings()  # noqa: RUF009 - frozen


class Runs:
    """Every run that has a pipeline in this process.

    Parameters
    ----------
    workers : Workers
        Shared by all runs.
    settings : RunsSettings
        See there.
    wake : callable
        Called from another thread when W&B is through with a run.
    last_look : callable, optional
        Gets each run that is over, with the clock, before it is closed.
    """

    def __init__(
        self,
        workers: Workers,
        settings: RunsSettings,
        wake: Callable[[], None],
        last_look: Callable[[LiveRun, float], None] | None = None,
    ) -> None:
        self._workers = workers
        self._settings = settings
        self._wake = wake
        self._last_look = last_look
        self._runs: dict[str, LiveRun] = {}
        self._committed_at: dict[str, float] = {}
        self._closing = False
        self._notifier = Notifier(settings.notify) if settings.notify.urls else None
        self.ended = 0

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(list(self._runs.values()))

    def folder_of(self, run_name: str) -> str:
        """Folder of a run, as an absolute path."""
        return str(self._settings.output_dir / run_folder_name(run_name))

    def known(self, run_id: str, run_name: str) -> LiveRun | None:
        """Run `run_id`, from this process or from its folder; None if it is new.

        Raises
        ------
        ConfigurationError
            If the name, or its folder, belongs to another run.
        """
        run = self._runs.get(run_id)
        if run is not None and run.started.run_name != run_name:
            raise ConfigurationError(
                f"run {run_id} is being received as {run.started.run_name!r}, not as {run_name!r}: "
                "a run keeps its name"
            )
        if run is not None:
            return run
        started = self.check(run_id, run_name)
        return None if started is None else self.open(started)

    def check(self, run_id: str, run_name: str) -> RunStarted | None:
        """What the folder of run `run_id` says of it; None if there is nothing yet.

        Raises
        ------
        ConfigurationError
            If the folder belongs to another run.
        """
        return check_folder(self._settings.output_dir, run_id, run_name)

    def open(self, started: RunStarted) -> LiveRun:
        """Pipeline of a run, opened if it is not yet.

        Raises
        ------
        ConfigurationError
            If its folder belongs to another run, or cannot be written.
        StoreError
            If the disk takes no more now.
        """
        run = self._runs.get(started.run_id)
        if run is not None:
            return run
        pipeline = RunPipeline.open(
            self._settings.output_dir,
            started,
            workers=self._workers,
            settings=self._settings.pipeline,
        )
        folder = Path(self.folder_of(started.run_name))
        run = LiveRun(
            pipeline,
            started,
            folder,
            self._sink(started),
            self._recorder(folder, pipeline, started),
            notifier=self._notifier,
            stalls=Stalls(started.run_name, self._settings.pipeline.alerts),
        )
        self._runs[started.run_id] = run
        self._committed_at[started.run_id] = float("-inf")
        logger.info("%s: writing to %s", started.run_name, folder)
        return run

    def commit(self, now: float, *, at_once: bool = False) -> Iterator[tuple[LiveRun, Committed]]:
        """Commit the runs whose time has come."""
        for run in self:
            if not at_once and now < self._due_at(run):
                continue
            self._committed_at[run.started.run_id] = now
            committed = run.commit(now)
            if committed is not None:
                yield run, committed

    def next_commit(self) -> float:
        """Clock of the next commit that is due; infinity if none is."""
        return min((self._due_at(run) for run in self), default=float("inf"))

    def tick(self, now: float) -> None:
        """Notice producers that are lost and runs that are over."""
        for run in self:
            for origin, heard_at in list(run.heard.items()):
                if now - heard_at > self._settings.producer_timeout_s:
                    self.lost(run, origin.producer)
            if not math.isinf(self._settings.producer_timeout_s):  # a replay waits for nobody
                run.stalls.look(run.heard, now)
            if run.recorder is not None:
                run.recorder.flush(now)
            self._end(run, now)

    def lost(self, run: LiveRun, producer: str) -> None:
        """End what `producer` left open: it is gone."""
        for origin in [origin for origin in run.heard if origin.producer == producer]:
            logger.error("%s: %s is lost", run.started.run_name, producer)
            run.give_up(origin)

    def stir(self) -> None:
        """Workers are through with something: let every run look at its next commit."""
        for run in self:
            run.dirty = True

    def forgive(self, seconds: float) -> None:
        """Do not count the last `seconds` as silence: this process itself stood still."""
        for run in self:
            for origin in run.heard:
                run.heard[origin] += seconds
            run.stalls.forgive(seconds)

    def end_all(self) -> list[Ending]:
        """Begin the end of every run, over or not: this process ends."""
        self._closing = True
        for run in self:
            if run.ending is None:
                run.ending = self._begin_end(run)
        return [run.ending for run in self if run.ending is not None]

    def say_what_is_left(self) -> None:
        """Log, of each run that is not over, what its next analyzer will go on with."""
        for run in self:
            if run.over:
                continue
            what = left_in_words(run.pipeline.frames_waiting, run.uncommitted_records)
            logger.warning(
                "%s: not over (%s); the next analyzer of this output folder goes on with it",
                *(run.started.run_name, what),
            )

    def close(self) -> None:
        """Close what is open; runs that are not over can be taken up again later."""
        for run in self:
            self._close(run)
        if self._notifier is not None:
            self._notifier.close(_NOTIFY_S)

    def _due_at(self, run: LiveRun) -> float:
        since = self._committed_at[run.started.run_id]
        if run.uncommitted_records >= _COMMIT_RECORDS:
            return since
        if not run.settled:
            return since + _COMMIT_INTERVAL_S
        return since + _IDLE_COMMIT_INTERVAL_S

    def _end(self, run: LiveRun, now: float) -> None:
        if run.ending is None:
            if run.over and not run.heard and not run.pipeline.rebuild():
                run.ending = self._begin_end(run)
        elif run.ending.done and run.over:
            log_end(run.folder, run.ending.outcome)
            if self._last_look is not None:
                self._last_look(run, now)
            self._close(run)
            self.ended += 1
        elif run.ending.done and not self._closing:  # it was resumed meanwhile
            run.ending = None
            run.sink = self._sink(run.started)
            run.recorder = self._recorder(run.folder, run.pipeline, run.started)

    def _begin_end(self, run: LiveRun) -> Ending:
        if run.recorder is not None:
            run.recorder.close()
        return Ending(run.sink, self._settings.wandb_timeout_s, self._wake)

    def _close(self, run: LiveRun) -> None:
        if run.recorder is not None:
            run.recorder.close()
        run.pipeline.close()
        run.closed = True
        del self._runs[run.started.run_id]
        del self._committed_at[run.started.run_id]

    def _sink(self, started: RunStarted) -> WandbSink:
        project = self._settings.project or started.project
        return WandbSink(Path(self.folder_of(started.run_name)), self._settings.wandb_mode, project)

    def _recorder(
        self, folder: Path, pipeline: RunPipeline, started: RunStarted
    ) -> Recorder | None:
        if not self._settings.record:
            return None
        limit = self._settings.record_limit_bytes
        starts = [] if limit is None else _first_records(pipeline, started)
        try:
            return Recorder(folder, limit_bytes=limit, starts=starts)
        except RecordingError as error:
            logger.error("nothing is recorded: %s", error)
            return None


def left_in_words(frames: int, records: int) -> str:
    """What an analyzer that ends has not dealt with.

    Examples
    --------
    >>> left_in_words(3, 0), left_in_words(0, 0)
    ('left: 3 frames', 'all that came is written')
    """
    left = [f"{frames:,} frames"] * bool(frames) + [f"{records:,} records"] * bool(records)
    return f"left: {', '.join(left)}" if left else "all that came is written"


def _first_records(pipeline: RunPipeline, started: RunStarted) -> list[Recorded]:
    """What an earlier analyzer heard of the run's starts, for the recording of this one."""
    of_run = started.run_id, started.run_name
    return [
        Recorded(*of_run, *origin, "ctl", 1, started.started_at_ns, payload)
        for origin, payload in pipeline.first_records()
    ]


def check_folder(output_dir: Path, run_id: str, run_name: str) -> RunStarted | None:
    """What the folder of run `run_id` in `output_dir` says of it; None if there is nothing yet.

    Raises
    ------
    ConfigurationError
        If the folder belongs to another run.
    """
    folder = output_dir / run_folder_name(run_name)
    if not holds_run(folder):
        return None  # also when the making of its database was cut short
    with RunReader(folder) as reader:
        starts = reader.incarnations()
    if starts and starts[-1].run_id != run_id:
        raise ConfigurationError(
            f"{folder} holds another run ({starts[-1].run_id}): choose another --run-name or "
            "--output-dir, or move that folder away"
        )
    return starts[-1] if starts else None
