"""`SidecarCallback`: any LightningModule, watched."""

# ruff: noqa: ARG002 - Lightning decides the hooks' signatures

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from shared.messages import Stain
from trainer.capture.fit_watch import FitWatch
from trainer.capture.options import FramesFrom, SidecarOptions
from trainer.limits import Limits


class SidecarCallback(FitWatch):
    """Publishes every training and validation batch of a fit; never slows or fails it.

    The step must show its images: by returning a dict with ``input`` (the clean target),
    ``reconstruction`` and ``loss`` (``mse`` as well, if it has one), or by setting
    ``self.sidelight_outputs`` to such a dict. Images are (N, C, H, W) with C of 1 or 3, float
    in [0, 1] (what lies outside is clipped) or uint8.

    Parameters
    ----------
    attention : mapping of str to str
        Name of each attention layer to its dotted path in the LightningModule. A module with
        the branches ``channel_attention`` and ``spatial_attention`` is a BAM; any other
        module's output is the gate itself, (N, H, W) or (N, C, H, W).
    activation : mapping of str to str, optional
        The same for layers whose mean absolute output is watched.
    primary : str, optional
        The attention layer that metric names without a layer stand for; the first one.
    sidecar : str
        ``local`` (starts an analyzer of its own), ``off``, or ``tcp://HOST:PORT``.
    record : path, optional
        MCAP file that gets everything, with the sidecar off too.
    run_name, project, output_dir
        Where the run's folder goes, and what it is called.
    analysis_freq : int
        A dashboard is drawn every so many training batches.
    frame_samples : int
        How many samples of each batch are shown and analyzed.
    frames_from : {"first", "all"}
        Of several ranks (DDP), those that show samples; the others say their numbers alone.
    stain, mpp, tile_size
        Facts about the tiles, where known; `mpp` in micrometers per pixel.
    config : mapping, optional
        What the run's files say about its settings; the module's hyperparameters by default.
    drain_timeout_s : float, optional
        Longest wait for the analyzer at the end; 600 s for ``local``, else 10 s.
    wandb : str, optional
        ``online``, ``offline`` or ``disabled``, for a local analyzer.
    analyzer : str, optional
        ``module:Class`` of an own analysis, for a local analyzer; see docs/own-analyses.md.
    keys : path, optional
        Folder of ``python -m analyzer_service keys``, for a sidecar at ``tcp://HOST:PORT``.
    limits : Limits, optional
        How much memory and disk the sidecar may take on this side.

    Attributes
    ----------
    outcome : PublishOutcome or None
        How the last fit's delivery ended.

    Raises
    ------
    ConfigurationError
        If a setting cannot be used; at the start of the fit, if a module path does not exist
        or the endpoint or recording cannot be used.
    """

    def __init__(
        self,
        attention: Mapping[str, str],
        activation: Mapping[str, str] | None = None,
        *,
        primary: str | None = None,
        sidecar: str = "local",
        record: str | Path | None = None,
        run_name: str | None = None,
        project: str = "histopath-kan-auto",
        output_dir: str | Path = ".",
        analysis_freq: int = 100,
        frame_samples: int = 4,
        frames_from: FramesFrom = "first",
        stain: Stain = "unknown",
        mpp: float | None = None,
        tile_size: int | None = None,
        config: Mapping[str, Any] | None = None,
        drain_timeout_s: float | None = None,
        wandb: str | None = None,
        analyzer: str | None = None,
        keys: str | Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        options = SidecarOptions(
            attention=dict(attention),
            activation=dict(activation or {}),
            primary=primary,
            sidecar=sidecar,
            record=None if record is None else Path(record),
            run_name=run_name,
            project=project,
            output_dir=Path(output_dir),
            analysis_freq=analysis_freq,
            frame_samples=frame_samples,
            frames_from=frames_from,
            stain=stain,
            mpp=mpp,
            tile_size=tile_size,
            config=config,
            drain_timeout_s=drain_timeout_s,
            wandb=wandb,
            analyzer=analyzer,
            keys=None if keys is None else Path(keys),
            limits=limits or Limits(),
        )
        super().__init__(options)

    def log_scalar(self, name: str, value: Any) -> None:
        """Add a scalar to the batch that ends next: a number, or a tensor of one element.

        A name that Sidelight itself uses gets the prefix ``user_``. Anything that is no
        number is left out. (Lightning puts its module's own ``log`` on every callback.)
        """
        session = self._session
        if session is not None:
            try:
                session.log(name, value)
            except Exception as error:
                self._contained.take(error)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fail here, before any work, if a layer does not exist."""
        if self.options.enabled:
            from trainer.capture.gates import find_module

            for path in (*self.options.attention.values(), *self.options.activation.values()):
                find_module(pl_module, path)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the publisher and hook the layers; the sanity check is over."""
        if self.options.enabled and self._session is None:
            from trainer.capture.lightning_start import start_session
            from trainer.forked import put_aside_in_children

            started = start_session(self.options, self.counters, trainer, pl_module)
            if started is not None:
                self._session, self._publisher, self._analyzer = started
                put_aside_in_children(self, FitWatch._put_aside)
                self._scales_loss = pl_module.automatic_optimization
                self._wait_for_data(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Waiting for data begins."""
        self._wait_for_data(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Waiting for data begins."""
        self._wait_for_data(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Waiting for data begins."""
        self._wait_for_data(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start timing, and note the learning rate that this batch is trained with."""
        session = self._session
        if session is not None:
            try:
                optimizers = trainer.optimizers
                rate = optimizers[0].param_groups[0].get("lr") if optimizers else None
                session.batch_started("train", rate)
            except Exception as error:
                self._contained.take(error)

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Any
    ) -> None:
        """The forward pass is over."""
        session = self._session
        if session is not None:
            session.timer.frozen = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Publish the batch."""
        session = self._session
        if session is not None:
            try:
                scale = trainer.accumulate_grad_batches if self._scales_loss else 1
                session.step_ended("train", batch_idx, batch, outputs, scale)
            except Exception as error:
                self._contained.take(error)
                session.step_lost()

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Start timing."""
        session = self._session
        if session is not None and not trainer.sanity_checking:
            try:
                session.batch_started("val")
            except Exception as error:
                self._contained.take(error)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Publish the batch, unless it belongs to the sanity check."""
        session = self._session
        if session is not None and not trainer.sanity_checking:
            try:
                session.step_ended("val", batch_idx, batch, outputs, loader_idx=dataloader_idx)
            except Exception as error:
                self._contained.take(error)
                session.step_lost()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that the epoch ended; its validation came before."""
        if self._session is not None:
            with self._contained:
                self._session.epoch_ended(trainer.current_epoch)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the run."""
        self._close("finished", None, self.options.drain_s)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the run as failed, or interrupted."""
        if self._session is not None:
            from trainer.capture.closing import ending_of, reason_of

            status, limit_s = ending_of(exception)
            self._close(status, reason_of(exception), min(limit_s, self.options.drain_s))
