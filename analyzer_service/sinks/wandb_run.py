"""A W&B run as this project uses it; the only module that imports wandb."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from analyzer_service.commit.reader import AlertRecord, OwnAnalyzer
from analyzer_service.figures.wording import shorten
from analyzer_service.sinks.wandb_feed import Entry
from analyzer_service.sinks.wandb_rows import STEP_KEYS, run_config, run_key
from shared.messages import RunStarted

UPLOAD_TIMEOUT_S: Final = 6.0
FLUSH_INTERVAL_S: Final = 1.0
TITLE_LENGTH: Final = 64
NAN: Final = "not_finite"


class LiveRun:
    """One open W&B run.

    Attributes
    ----------
    directory : str
        W&B's folder of this run; ``wandb sync`` takes it.
    url : str or None
        Where the run is seen; None offline.
    """

    def __init__(self, run: Any, wandb: Any, *, online: bool) -> None:
        self._run = run
        self._wandb = wandb
        self._name: str = run.name or run.id
        self.directory: str = run.settings.sync_dir
        self.url: str | None = run.url if online else None

    @classmethod
    def start(
        cls,
        folder: Path,
        started: RunStarted,
        *,
        mode: str,
        project: str,
        timeout_s: float,
        own: Sequence[OwnAnalyzer] = (),
    ) -> "LiveRun":
        """Open the run: offline into `folder`, or online; raises what wandb raises."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        run = wandb.init(
            project=project,
            name=started.run_name,
            id=run_key(started.run_id),
            dir=str(folder),
            mode="online" if mode == "online" else "offline",
            resume="allow",
            config=run_config(started, own),
            settings=_settings(wandb, timeout_s),
        )
        for group, step in STEP_KEYS.items():
            run.define_metric(step, hidden=True)
            run.define_metric(f"{group}/*", step_metric=step)
        return cls(run, wandb, online=mode == "online")

    def log(self, entry: Entry) -> int:
        """Log one entry; return how many of its images were no longer there."""
        there = {key: path for key, path in entry.images.items() if path.is_file()}
        images = {
            key: self._wandb.Image(str(path), caption=path.stem) for key, path in there.items()
        }
        if images or not entry.images:
            self._run.log({**entry.values, **images})
        return len(entry.images) - len(images)

    def alert(self, alert: AlertRecord) -> None:
        """Tell of an alert that fired; W&B sends it as its user has set."""
        self._run.alert(
            title=shorten(f"{self._name}: {alert.title}", lambda text: len(text) < TITLE_LENGTH),
            text=f"At step {alert.step:,}. {alert.sentence}",
            level="ERROR" if alert.name == NAN else "WARN",
            wait_duration=timedelta(milliseconds=1),
        )

    def settle(self) -> None:
        """Wait until W&B's own process has taken what was logged.

        It is on disk `FLUSH_INTERVAL_S` later. Raises `TimeoutError` if there is no answer.
        """
        # Reading the summary asks that process, which answers in the order of what it is told.
        if not self._run.summary.keys():
            raise TimeoutError("W&B's own process did not answer")

    def finish(self, summary: dict[str, Any], *, exit_code: int) -> None:
        """Set the summary and close; raises `TimeoutError` if not all was uploaded in time."""
        self._run.summary.update(
            {name: value for name, value in summary.items() if value is not None}
        )
        self._run.finish(exit_code=exit_code)


def _settings(wandb: Any, timeout_s: float) -> Any:
    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        finish_timeout=UPLOAD_TIMEOUT_S,
        finish_timeout_raises=True,
        init_timeout=timeout_s,
        quiet=True,
        save_code=False,
        show_info=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_INTERVAL_S,
    )
