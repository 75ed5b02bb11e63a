"""The trainer's own command line, with one thing wrong on purpose.

``python -m tests.processes.sabotaged_fit KIND FLAGS…``; FLAGS are those of ``python -m trainer``.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainer.cli import main
from trainer.data import tiles
from trainer.model.bam import SpatialAttention
from trainer.module import AnalysisEnabledMainModel

_LEAK_MIB = 3
_SLEEP_S = 0.3
_kept: list[Tensor] = []


def nothing() -> None:
    """A healthy run."""


def learning_rate() -> None:
    """A hundred times what it should be."""
    defaults = AnalysisEnabledMainModel.__init__.__kwdefaults__
    assert defaults is not None
    defaults["learning_rate"] *= 100


def constant_attention() -> None:
    """The spatial gate is frozen where it is the same everywhere."""
    build = SpatialAttention.__init__

    def frozen(self: Any, channels: int, hidden: int) -> None:
        build(self, channels, hidden)
        last = self.layers[-1]
        torch.nn.init.zeros_(last.weight)
        self.requires_grad_(False)

    SpatialAttention.__init__ = frozen  # type: ignore[method-assign]


def fixed_attention() -> None:
    """The spatial gate is frozen to one pattern, whatever the tile shows."""
    forward = SpatialAttention.forward

    def fixed(self: Any, x: Tensor) -> Tensor:
        logits = forward(self, x)
        rows = torch.linspace(-2, 2, logits.shape[1])[:, None]
        return 1e-3 * logits + rows

    SpatialAttention.forward = fixed  # type: ignore[method-assign]


def leaking() -> None:
    """Every step leaves something behind."""
    step = AnalysisEnabledMainModel.training_step

    def leaky(self: Any, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        _kept.append(torch.ones(_LEAK_MIB, 1 << 18))
        return step(self, batch, batch_idx)

    AnalysisEnabledMainModel.training_step = leaky  # type: ignore[method-assign]


def sleeping() -> None:
    """Every tile that is read for training takes its time."""
    read = tiles.RandomTiles.__getitem__

    def slow(self: Any, index: Any) -> Any:
        time.sleep(_SLEEP_S)
        return read(self, index)

    tiles.RandomTiles.__getitem__ = slow  # type: ignore[method-assign]


KINDS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (nothing, learning_rate, constant_attention, fixed_attention, leaking, sleeping)
}

if __name__ == "__main__":
    KINDS[sys.argv.pop(1)]()
    main()
