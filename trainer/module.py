"""`AnalysisEnabledMainModel`: DAE-KAN as a LightningModule that is watched as it trains."""

import logging
import math
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from shared.errors import ConfigurationError
from shared.messages import Phase
from trainer.model.dae_kan import DAEKAN, ModelSize
from trainer.quality import ssim
from trainer.results import RunResults, name_of_class

log = logging.getLogger(__name__)

_WARMUP_SHARE = 0.05
_LAST_LR_SHARE = 0.01


class AnalysisEnabledMainModel(pl.LightningModule):
    """Denoising autoencoder that learns to restore tiles, with the sidecar built in.

    Tiles get Gaussian noise, the loss is the mean squared error against the clean tiles.
    Batches are mappings with ``image`` (and, where known, ``id``, ``source``, ``row``, …),
    pairs whose first item is the images, or images alone: (N, 3, H, W) or (N, 1, H, W), float
    in [0, 1] or uint8. A `SidecarCallback` is added by itself unless the trainer has one.

    Parameters
    ----------
    batch_size : int
        Tiles in a batch; for the run's description, the loaders decide.
    analysis_frequency : int
        A dashboard is drawn every so many training batches.
    model : {"auto", "full", "small"}
        ``auto``: full where CUDA is available, else small; the log says which.
    learning_rate : float
        Of AdamW, at its peak: it rises over the first twentieth of the steps and falls along
        a cosine.
    weight_decay : float
        Of AdamW.
    noise_std : float
        Standard deviation of the noise, images being in [0, 1].
    seed : int
        Of the noise: the same batch of the same epoch always gets the same noise,
        validation batches get the same in each epoch.
    sidecar, record, run_name, project_name, output_dir, frame_samples
        See `trainer.capture.callback.SidecarCallback`.
    sidecar_options : keyword arguments
        Any other argument of `SidecarCallback`: ``stain``, ``mpp``, ``tile_size``, ``config``,
        ``drain_timeout_s``, ``wandb``, ``analyzer``, ``keys``, ``limits``, ``frames_from``.

    Raises
    ------
    ConfigurationError
        If `model` is no known size.
    """

    def __init__(
        self,
        batch_size: int = 16,  # noqa: ARG002 - kept with the other hyperparameters
        analysis_frequency: int = 100,
        *,
        model: str = "auto",
        learning_rate: float = 4e-3,
        weight_decay: float = 1e-4,
        noise_std: float = 0.05,
        seed: int = 0,
        sidecar: str = "local",
        record: str | Path | None = None,
        run_name: str | None = None,
        project_name: str = "histopath-kan-auto",
        output_dir: str | Path = ".",
        frame_samples: int = 4,
        **sidecar_options: Any,
    ) -> None:
        super().__init__()
        model = choose_size(model)
        record = None if record is None else str(record)
        output_dir = str(output_dir)
        self.save_hyperparameters(ignore=["config", "keys", "limits"])
        self.model = DAEKAN(model)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.noise_std, self.seed = noise_std, seed
        self._sidecar: dict[str, Any] = {
            "sidecar": sidecar,
            "record": record,
            "run_name": run_name,
            "project": project_name,
            "output_dir": output_dir,
            "analysis_freq": analysis_frequency,
            "frame_samples": frame_samples,
            **sidecar_options,
        }

    def describe(self, config: dict[str, Any]) -> None:
        """Set what the run's files say about its settings; before the fit starts."""
        self._sidecar["config"] = config

    @property
    def auto_analyzer(self) -> RunResults:
        """The guide's ``model.auto_analyzer``: what the sidecar has found of the present run.

        Set it to an own analyzer (a subclass of ``analyzer_service.AutomaticAnalyzer``, or an
        instance) before the fit: its class then analyzes beside the run, in the sidecar's process.
        """
        callbacks = self._trainer.callbacks if self._trainer is not None else []  # type: ignore[attr-defined]
        found = [getattr(each, "results", None) for each in callbacks]
        results = [each for each in found if isinstance(each, RunResults)]
        return results[0] if results else RunResults(None, "fit first, with the sidecar on")

    @auto_analyzer.setter
    def auto_analyzer(self, analyzer: Any) -> None:
        self._sidecar["analyzer"] = name_of_class(analyzer)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tiles (N, 3, H, W) to (encoded, decoded, z); see `DAEKAN.forward`."""
        outputs: tuple[Tensor, Tensor, Tensor] = self.model(x)
        return outputs

    def configure_callbacks(self) -> list[pl.Callback]:
        """The sidecar, unless it is off or the trainer already has one."""
        if self._sidecar["sidecar"] == "off" and self._sidecar["record"] is None:
            return []
        from trainer.capture.callback import SidecarCallback

        given = self._trainer.callbacks if self._trainer is not None else []  # type: ignore[attr-defined]
        if any(isinstance(callback, SidecarCallback) for callback in given):
            return []
        attention = {name: f"model.{path}" for name, path in self.model.attention_layers.items()}
        activation = {name: f"model.{path}" for name, path in self.model.activation_layers.items()}
        return [SidecarCallback(attention, activation, **self._sidecar)]

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Loss of one batch, with the clean tiles and what became of them."""
        outputs = self._restore(batch, batch_idx, "train")
        self.log(
            "train/loss",
            outputs["loss"].detach(),
            prog_bar=True,
            batch_size=len(outputs["input"]),
        )
        return outputs

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """As in training; logs ``val/loss`` and the windowed ``val/ssim``."""
        outputs = self._restore(batch, batch_idx, "val")
        clean = outputs["input"]
        logged = {
            "val/loss": outputs["loss"],
            "val/ssim": ssim(clean, outputs["reconstruction"]).mean(),
        }
        self.log_dict(logged, prog_bar=True, batch_size=len(clean), sync_dist=True)
        return outputs

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; the learning rate follows the number of steps, where there is one."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        steps = self.trainer.estimated_stepping_batches
        schedule = LambdaLR(optimizer, lambda step: _share_of_peak(step, steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _restore(self, batch: Any, batch_idx: int, phase: Phase) -> dict[str, Tensor]:
        clean = clean_tiles(batch)
        noise = torch.randn(
            clean.shape, generator=self._noise_source(batch_idx, phase), device=clean.device
        )
        _, decoded, _ = self(clean + self.noise_std * noise)
        loss = functional.mse_loss(decoded.float(), clean)
        return {
            "loss": loss,
            "mse": loss.detach(),
            "input": clean,
            "reconstruction": decoded.detach(),
        }

    def _noise_source(self, batch_idx: int, phase: Phase) -> torch.Generator:
        epoch = self.current_epoch if phase == "train" else 0
        key = f"{self.seed}/{self.global_rank}/{phase}/{epoch}/{batch_idx}"
        number = int.from_bytes(blake2b(key.encode(), digest_size=7).digest(), "little")
        return torch.Generator(self.device).manual_seed(number)


def clean_tiles(batch: Any) -> Tensor:
    """Images of a batch as float32 (N, 3, H, W) in [0, 1].

    Raises
    ------
    ConfigurationError
        If the batch holds no images in one of the known forms.
    """
    images = batch
    if isinstance(batch, dict):
        images = batch.get("image")
    elif isinstance(batch, (list, tuple)) and batch:
        images = batch[0]
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ConfigurationError(
            "a batch must be images (N, 3, H, W) or (N, 1, H, W), a pair that begins with them, "
            f"or a mapping with them as 'image'; got {got}"
        )
    scaled = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return scaled.expand(-1, 3, -1, -1)


def choose_size(model: str) -> ModelSize:
    """Model size that ``auto`` stands for on this machine, else `model` itself.

    Raises
    ------
    ConfigurationError
        If `model` is none of auto, full and small.
    """
    if model == "auto":
        cuda = torch.cuda.is_available()
        log.info(
            "model: %s, as there is %s CUDA device", *(("full", "a") if cuda else ("small", "no"))
        )
        return "full" if cuda else "small"
    if model == "full":
        return "full"
    if model == "small":
        return "small"
    raise ConfigurationError(f"model {model!r} must be auto, full or small")


def _share_of_peak(step: int, steps: float) -> float:
    """Share of the peak learning rate: a linear rise, then a cosine; flat without an end."""
    if not math.isfinite(steps):
        return 1.0
    warmup = max(1.0, _WARMUP_SHARE * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1.0, steps - warmup))
    falling = 0.5 * (1 + math.cos(math.pi * progress))
    return _LAST_LR_SHARE + (1 - _LAST_LR_SHARE) * falling
