"""One training run from start to end."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from pytorch_lightning.loggers import CSVLogger

from shared.books import books_in_words
from trainer.batch_size import choose_batch_size
from trainer.commands import command
from trainer.data.datamodule import DataFacts, TissueTiles, check_tile_size
from trainer.finished import Finished, ReportState, Stamp, how_to_watch, report_stamp
from trainer.module import AnalysisEnabledMainModel
from trainer.plan import Plan, make_plan
from trainer.ranks import (
    Chosen,
    chosen_by_first,
    files_of_others,
    telling_the_others,
    this_rank,
    wait_for,
)
from trainer.settings import TrainSettings, flags_to_go_on
from trainer.signals import EndedBySignals

if TYPE_CHECKING:  # with the sidecar off, it is not imported
    from trainer.publish import PublishOutcome

log = logging.getLogger(__name__)

_GRADIENT_CLIP = 1.0
_BEST_KEPT = 3
_LOG_EVERY = 10
_OF_THIS_START = {"output_dir", "resume", "record", "keys", "grace"}
# What Lightning says about choices that are made on purpose here.
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*LeafSpec.*is deprecated.*",
    ".*GPU available but not used.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*dirpath has changed from.*",
    ".*callbacks used to create the checkpoint.*SidecarCallback.*",  # it may be off, or on, now
    ".*your dataloader is not resumable.*",  # tiles are random crops: some come twice, or never
)


def fit(settings: TrainSettings) -> Finished:
    """Check everything, train, and say where the results are.

    Raises
    ------
    ConfigurationError
        Before anything is written, if the settings cannot be used.
    SystemExit
        With 128 and the signal's number, if SIGTERM or Ctrl-C has ended it.
    """
    if settings.tile_size is not None:
        check_tile_size(settings.tile_size)
    chosen = chosen_by_first(settings.devices)
    plan = make_plan(settings, chosen)
    earlier = report_stamp(plan.run_folder)  # of the run's last start, when it is resumed
    with _quiet_lightning():
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        data = TissueTiles(
            settings.data,
            tile_size=settings.tile_size,
            stain=settings.stain,
            mpp=settings.mpp,
            batch_size=settings.batch_size or (chosen.batch_size if chosen else 1),
            num_workers=settings.num_workers,
            seed=settings.seed,
            ranks=settings.devices,
        )
        module = _make_module(settings, plan, data, find_batch_size=chosen is None)
        signals = EndedBySignals(
            plan.checkpoints / "last.ckpt", settings.grace, alone=settings.devices == 1
        )
        trainer = _make_trainer(settings, plan, data, signals)
        with (
            signals.heeded(),
            telling_the_others(
                Chosen(run_name=plan.run_name, batch_size=data.batch_size), settings.devices
            ),
        ):
            try:
                trainer.fit(module, datamodule=data, ckpt_path=settings.resume)
            except BaseException:
                _say_what_is_left(settings, plan, trainer)
                # A further rank that ends with a code has Lightning end rank 0 in its midst.
                if signals.number is not None and this_rank() == 0:
                    raise SystemExit(128 + signals.number) from None
                raise
        wait_for(getattr(trainer.strategy.launcher, "procs", []))
        return replace(_finish(settings, plan, trainer), report=_report_of(plan, earlier))


def _make_module(
    settings: TrainSettings, plan: Plan, data: TissueTiles, *, find_batch_size: bool
) -> AnalysisEnabledMainModel:
    module = AnalysisEnabledMainModel(
        settings.batch_size or 1,
        settings.analysis_freq,
        model=plan.model,
        seed=settings.seed,
        sidecar=settings.sidecar,
        record=settings.record,
        run_name=plan.run_name,
        project_name=settings.project_name,
        output_dir=settings.output_dir,
        frame_samples=settings.frame_samples,
        **_facts_for_sidecar(settings, data.facts),
    )
    log.info("model: %s, on %s", plan.model, _where(settings, plan))
    if plan.run_folder is not None:
        log.info("to watch it in the browser: %s", how_to_watch(plan.run_folder))
    if settings.sidecar != "off" or settings.record is not None:
        settings.limits.check_frame(settings.frame_samples, data.facts.tile_size)
    if settings.batch_size is None and find_batch_size:
        data.batch_size = choose_batch_size(module.model, data.facts.tile_size, gpu=plan.gpu)
    module.describe(_config(settings, plan, data))
    return module


def _where(settings: TrainSettings, plan: Plan) -> str:
    where = "the CPU" if plan.gpu is None else f"GPU {plan.gpu}"
    if settings.devices == 1:
        return where
    return f"{settings.devices} {'processes of the CPU' if plan.gpu is None else 'GPUs'}"


def _facts_for_sidecar(settings: TrainSettings, facts: DataFacts) -> dict[str, Any]:
    return {
        "stain": facts.stain,
        "mpp": facts.mpp,
        "tile_size": facts.tile_size,
        "drain_timeout_s": settings.drain_timeout,
        "wandb": settings.wandb,
        "analyzer": settings.analyzer,
        "keys": settings.keys,
        "frames_from": settings.frames_from,
        "limits": settings.limits,
    }


def _config(settings: TrainSettings, plan: Plan, data: TissueTiles) -> dict[str, Any]:
    """What the run's files say about how it was made; no path of this machine."""
    chosen = settings.model_dump(mode="json", exclude=_OF_THIS_START)
    found = {
        "run_name": plan.run_name,
        "model": plan.model,
        "batch_size": data.batch_size,
        "tile_size": data.facts.tile_size,
        "stain": data.facts.stain,
        "mpp": data.facts.mpp,
        "train_tiles": data.facts.train_tiles,
        "val_tiles": data.facts.val_tiles,
        "split": data.facts.how_split,
        "skipped_images": data.facts.skipped,
    }
    return chosen | found


def _make_trainer(
    settings: TrainSettings, plan: Plan, data: TissueTiles, signals: EndedBySignals
) -> pl.Trainer:
    callbacks: list[pl.Callback] = [signals, _checkpoints(plan), LearningRateMonitor("step")]
    on_terminal = sys.stdout.isatty()
    callbacks.append(ProgressBar() if on_terminal else EpochLines())
    steps_per_epoch = len(data.train_dataloader())
    short = 0 < settings.max_steps < steps_per_epoch
    return pl.Trainer(
        accelerator="cpu" if plan.gpu is None else "gpu",
        **ranks_here(settings.devices, gpu=plan.gpu),
        max_epochs=settings.epochs,
        max_steps=settings.max_steps,
        val_check_interval=settings.max_steps if short else None,
        precision=settings.precision,
        gradient_clip_val=_GRADIENT_CLIP,
        log_every_n_steps=min(_LOG_EVERY, steps_per_epoch),
        callbacks=callbacks,
        logger=CSVLogger(plan.training_folder, name="logs"),
        enable_progress_bar=on_terminal,
        enable_model_summary=False,
    )


def ranks_here(devices: int, *, gpu: int | None = None) -> dict[str, Any]:
    """Arguments of `pl.Trainer` for so many ranks, all of which this process starts.

    Where a scheduler has started it, too: Lightning by itself would wait for ranks of that.
    """
    if devices == 1:
        return {"devices": 1 if gpu is None else [gpu], "strategy": "auto"}
    return {
        "devices": devices,
        "strategy": "ddp",
        "plugins": [LightningEnvironment()],
        "use_distributed_sampler": False,  # `TissueTiles` deals its tiles out by itself
    }


def _checkpoints(plan: Plan) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=plan.checkpoints,
        filename="epoch{epoch}-step{step}-val_loss{val/loss:.5f}",
        auto_insert_metric_name=False,
        monitor="val/loss",
        save_top_k=_BEST_KEPT,
        save_last=True,
        enable_version_counter=False,  # the last one is the last, also where SIGTERM has left it
    )


class EpochLines(pl.Callback):
    """Says how each epoch ended, where a progress bar cannot be drawn."""

    def on_validation_end(self, trainer: pl.Trainer, _pl_module: pl.LightningModule) -> None:
        """Log loss and SSIM of the validation that ended."""
        if not trainer.sanity_checking:
            loss, index = (_metric(trainer, name) for name in ("val/loss", "val/ssim"))
            log.info(
                "epoch %d, step %d: validation loss %.5f, SSIM %.3f",
                *(trainer.current_epoch, trainer.global_step, loss, index),
            )


def _metric(trainer: pl.Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)


def _outcomes(trainer: pl.Trainer) -> "list[PublishOutcome]":
    """How delivery ended, of each callback that delivered."""
    found = [getattr(callback, "outcome", None) for callback in trainer.callbacks]  # type: ignore[attr-defined]
    return [outcome for outcome in found if outcome is not None]


def _say_what_is_left(settings: TrainSettings, plan: Plan, trainer: pl.Trainer) -> None:
    """After an interrupt or a failure: the books, what there is, and how to go on."""
    log.info("run %s stopped at step %d", plan.run_name, trainer.global_step)
    for outcome in _outcomes(trainer):
        for what, words in books_in_words(outcome.books):
            log.info("%s: %s", what, words)
    last = plan.checkpoints / "last.ckpt"
    if last.exists():
        flags = flags_to_go_on(settings)
        log.info("to go on: %s", command("trainer", "--resume", last, *flags))
    if plan.run_folder is not None and plan.run_folder.exists():
        log.info("what was analyzed so far: %s", plan.run_folder)


def _finish(settings: TrainSettings, plan: Plan, trainer: pl.Trainer) -> Finished:
    finished = Finished(
        run_name=plan.run_name,
        checkpoints=plan.checkpoints,
        run_folder=plan.run_folder,
        recording=settings.record,
        recordings_of_others=files_of_others(settings.record, settings.devices),
        ranks=settings.devices,
        complete=True,
        val_loss=_metric(trainer, "val/loss"),
        val_ssim=_metric(trainer, "val/ssim"),
    )
    for outcome in _outcomes(trainer):
        folder = None if outcome.run_folder is None else Path(outcome.run_folder)
        finished = replace(
            finished,
            run_folder=plan.run_folder or folder,
            recording=settings.record or outcome.journal,
            replay_into=settings.output_dir if settings.record is None else Path("replayed"),
            complete=outcome.complete,
            books=outcome.books,
        )
    return finished


def _report_of(plan: Plan, earlier: Stamp | None) -> ReportState:
    """What became of the report; whether it is this start's, where it is on this machine."""
    if plan.run_folder is None:
        return "expected"
    return "missing" if report_stamp(plan.run_folder) in (None, earlier) else "written"


class ProgressBar(RichProgressBar):
    """Lightning's bar, without the logger's version number."""

    def __init__(self) -> None:
        super().__init__(theme=RichProgressBarTheme(metrics_format=".4f"))

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Loss and SSIM."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    torch.set_float32_matmul_precision("high")
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.setLevel(level)
