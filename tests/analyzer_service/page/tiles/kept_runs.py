"""A run whose tiles and maps are known, pixel by pixel."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.messages import Sample
from tests.analyzer_service.clinical.runs import TileRun, make_tiles
from tests.builders import make_images

SIZE = 64
CELLS = 8
LAYER = "bam_384"


def ramp(seed: int = 0) -> NDArray[np.float32]:
    """A gate of 64 different values in [0.1, 0.9], shuffled."""
    values = np.linspace(0.1, 0.9, CELLS * CELLS, dtype=np.float32)
    return np.random.default_rng(seed).permutation(values).reshape(CELLS, CELLS)


def tile_images(seed: int, count: int) -> NDArray[np.uint8]:
    """Stained tiles, (count, 64, 64, 3)."""
    return make_images(np.random.default_rng(seed), count=count, size=SIZE)


class KnownRun(TileRun):
    """Keeps steps of validation with two tiles; `add` releases the next one."""

    def __init__(self, output_dir: Path, *, name: str = "demo", **overrides: object) -> None:
        super().__init__(output_dir / f"auto_analysis_{name}", run_name=name, **overrides)
        self.name = name
        self.samples: list[Sample] = make_tiles(2)
        self.gates: dict[int, NDArray[np.float32]] = {}
        self.images: dict[int, NDArray[np.uint8]] = {}
        self.reconstructions: dict[int, NDArray[np.uint8]] = {}

    def add(self, number: int, *, gate: NDArray[np.float32] | None = None) -> Path:
        """Release step `number`: one of each epoch, ten training batches apart."""
        first = ramp(number) if gate is None else gate
        self.gates[number] = np.stack([first, ramp(number + 1000)])
        self.images[number] = tile_images(number, 2)
        self.reconstructions[number] = tile_images(number + 1000, 2)
        return self.keep(
            self.samples,
            {LAYER: self.gates[number], "bam_16": self.gates[number][:, ::2, ::2].copy()},
            number=number,
            images=self.images[number],
            reconstruction=self.reconstructions[number],
            activation={"encoder_kan": 3 * self.gates[number]},
            epoch=number - 1,
            global_step=10 * number,
        )
