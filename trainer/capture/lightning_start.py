"""From a Lightning fit that begins to a session that watches it."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from trainer.capture.counters import RunCounters
from trainer.capture.gates import Taps
from trainer.capture.options import SidecarOptions
from trainer.capture.session import FitSession
from trainer.capture.settings import CaptureSettings
from trainer.capture.starting import FitFacts, describe_run, start_publisher
from trainer.publish.local import LocalAnalyzer
from trainer.publish.publisher import Publisher

Started = tuple[FitSession, Publisher, LocalAnalyzer | None]


def start_session(
    options: SidecarOptions,
    counters: RunCounters,
    trainer: pl.Trainer,
    module: pl.LightningModule,
) -> Started | None:
    """Start the publisher, then hook the layers; None on a rank that publishes to nobody.

    Raises
    ------
    ConfigurationError
        If a layer, the endpoint or the recording cannot be used.
    """
    config = options.config if options.config is not None else _hyperparameters(module)
    facts = facts_of(trainer, module)
    run = describe_run(options, counters, facts, config)
    publisher, analyzer = start_publisher(options, run, facts)
    if publisher is None:
        return None
    frames = options.offers_frames(facts.rank)
    watched = (options.attention, options.activation) if frames else ({}, {})
    taps = Taps(module, *watched, samples=options.frame_samples)
    session = FitSession(
        module,
        module.device,
        taps=taps,
        counters=counters,
        receiver=publisher,
        frame_samples=options.frame_samples,
        rank=facts.rank,
        frames=frames,
        capture=CaptureSettings.within(
            options.limits, frame_samples=options.frame_samples, tile_size=options.tile_size
        ),
    )
    return session, publisher, analyzer


def facts_of(trainer: pl.Trainer, module: pl.LightningModule) -> FitFacts:
    """Device, ranks and length of a fit; call it once the training loader is known."""
    device = module.device
    name = str(device)
    if device.type == "cuda":
        name = f"{name} ({torch.cuda.get_device_name(device)})"
    return FitFacts(
        device=name,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        max_epochs=trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None,
        total_steps=_total_steps(trainer),
        node=trainer.node_rank,
        from_first=trainer.strategy.broadcast,
    )


def _total_steps(trainer: pl.Trainer) -> int | None:
    """Batches that this fit will have trained at its end, or None when nobody knows."""
    limits: list[float] = []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        limits.append(trainer.num_training_batches * trainer.max_epochs)
    if trainer.max_steps > 0:
        limits.append(trainer.max_steps * trainer.accumulate_grad_batches)
    total = min(limits, default=math.inf)
    return int(total) if math.isfinite(total) else None


def _hyperparameters(module: pl.LightningModule) -> Mapping[str, Any]:
    return dict(module.hparams)
