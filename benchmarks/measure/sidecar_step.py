"""A LightningModule whose step gives 4 RGB tiles of 128², their reconstructions and two maps."""

from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

TILES = (4, 3, 128, 128)
MAPS = {"coarse": (4, 16, 16), "fine": (4, 32, 32)}
ATTENTION = {name: f"gates.{name}" for name in MAPS}


class Step(pl.LightningModule):
    """Two convolutions forward and backward (5 to 20 ms on one core), and gates to be hooked."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.ELU(), nn.Conv2d(12, 3, 3, padding=1), nn.Sigmoid()
        )
        self.gates = nn.ModuleDict({name: nn.Identity() for name in MAPS})
        self.to(device)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        self.pool = torch.rand(16, *TILES, device=device)
        self.count = 0

    def work(self) -> dict[str, Any]:
        """One training step; every tensor that it gives is new."""
        self.count += 1
        clean = self.pool[self.count % len(self.pool)].clone()
        decoded = self.net(clean)
        loss = nn.functional.mse_loss(decoded, clean)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {**fresh_values(clean), "loss": loss.detach(), "reconstruction": decoded.detach()}


def fresh_values(clean: Tensor) -> dict[str, Any]:
    """Values of a step that nobody else holds; `maps` are gates in (0, 1)."""
    device = clean.device
    return {
        "input": clean,
        "reconstruction": clean.mul(0.9),
        "loss": torch.tensor(0.5, device=device),
        "mse": torch.tensor(0.4, device=device),
        "maps": {name: torch.rand(shape, device=device) for name, shape in MAPS.items()},
        "numbers": {f"scalar_{i}": 0.1 * i for i in range(7)},
    }


def lightning_trainer(module: Step, steps: int) -> Any:
    """What the sidecar's callback asks of a `pl.Trainer`."""
    return SimpleNamespace(
        optimizers=[module.optimizer],
        accumulate_grad_batches=1,
        current_epoch=0,
        sanity_checking=False,
        global_rank=0,
        node_rank=0,
        world_size=1,
        strategy=SimpleNamespace(broadcast=lambda value: value),
        max_epochs=1,
        max_steps=-1,
        num_training_batches=steps,
    )
