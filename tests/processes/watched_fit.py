"""A Lightning fit whose workers hold the module and the callback, and meddle with both.

``python -m tests.processes.watched_fit ENDPOINT OUTCOME --method fork [--persistent]``
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, get_worker_info

from trainer import SidecarCallback

EPOCHS = 2
TILES = {"train": 40, "val": 8}
BATCH_SIZE = 4


class Denoiser(pl.LightningModule):
    """A gate between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Sequential(nn.Conv2d(4, 1, 3, padding=1), nn.Sigmoid())
        self.decode = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encode(x)
        restored: Tensor = self.decode(features * self.gate(features)).sigmoid()
        return restored

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        clean = batch["image"]
        self.trainer.readers.update(batch["reader"].tolist())  # type: ignore[attr-defined]
        restored = self(clean)
        loss = nn.functional.mse_loss(restored, clean)
        return {"loss": loss, "input": clean, "reconstruction": restored}

    validation_step = training_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class MeddlingTiles(Dataset[dict[str, Any]]):
    """Tiles of a worker that runs the module and calls the callback, as if it trained itself."""

    def __init__(self, count: int, module: pl.LightningModule, watch: SidecarCallback) -> None:
        self.count = count
        self.module = module
        self.watch = watch

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.rand(3, 32, 32)
        if get_worker_info() is not None:
            self._meddle(image)
        return {"image": image, "reader": os.getpid()}

    def _meddle(self, image: Tensor) -> None:
        trainer: Any = None
        with torch.no_grad():
            self.module(image[None])
        self.watch.log_scalar("of_a_worker", 1.0)
        self.watch.on_train_batch_start(trainer, self.module, None, 0)
        self.watch.on_train_batch_end(trainer, self.module, {"loss": torch.ones(())}, None, 0)
        self.watch.on_exception(trainer, self.module, RuntimeError("of a worker"))
        self.watch.on_fit_end(trainer, self.module)
        assert self.watch.failures == 0
        assert self.watch.outcome is None


def main(arguments: list[str]) -> None:
    """Fit, and write how the delivery ended as JSON."""
    warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
    options = _parse(arguments)
    torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
    watch = SidecarCallback(
        {"gate": "gate"}, sidecar=options.endpoint, run_name="bare", drain_timeout_s=30.0
    )
    module = Denoiser()
    loaders = [_loader(count, module, watch, options) for count in TILES.values()]
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[watch],
    )
    readers: set[int] = set()
    trainer.readers = readers  # type: ignore[attr-defined]
    trainer.fit(module, *loaders)
    assert watch.failures == 0
    assert watch.outcome is not None
    said = watch.outcome.books.model_dump() | {
        "complete": watch.outcome.complete,
        "journal": watch.outcome.journal,
        "readers": len(readers - {os.getpid()}),
    }
    options.outcome.write_text(json.dumps(said, default=str), encoding="utf-8")


def _loader(
    count: int, module: pl.LightningModule, watch: SidecarCallback, options: argparse.Namespace
) -> DataLoader[Any]:
    return DataLoader(
        MeddlingTiles(count, module, watch),
        batch_size=BATCH_SIZE,
        num_workers=2,
        multiprocessing_context=options.method,
        persistent_workers=options.persistent,
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint")
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--method", choices=("fork", "spawn", "forkserver"), required=True)
    parser.add_argument("--persistent", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
