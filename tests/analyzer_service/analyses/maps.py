"""Attention maps for these tests, and the definitions once more in the plainest form.

The references share no code with the package: regridding replicates cells to the least common
multiple and sums blocks, as the source of the stored vectors does.
"""

import math

import numpy as np
from numpy.typing import NDArray
from skimage.measure import block_reduce

Map = NDArray[np.float64]


def noise(height: int = 32, width: int = 32, *, seed: int = 0) -> Map:
    return np.random.default_rng(seed).random((height, width))


def offsets(size: int) -> tuple[Map, Map]:
    """Row and column of each cell center from the center, in widths of the tile."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    return np.meshgrid(axis, axis, indexing="ij")


def blob(size: int = 32, *, sigma: float, row: float = 0.0, col: float = 0.0) -> Map:
    y, x = offsets(size)
    return np.exp(-((y - row) ** 2 + (x - col) ** 2) / (2 * sigma**2))


def smooth(height: int = 32, width: int = 32, *, seed: int = 0, cycles: int = 3) -> Map:
    """A sum of a few random waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [
        rng.normal() * np.cos(2 * np.pi * (rng.uniform(-3, 3) * y + rng.uniform(-3, 3) * x))
        for _ in range(cycles)
    ]
    return 0.5 + 0.1 * sum(waves)


def reference_excess(gate: Map) -> Map:
    base = np.percentile(gate, 25)
    if gate.max() - base <= 1e-6 * (gate.max() - gate.min()):
        base = gate.min()
    return np.maximum(gate - base, 0.0)


def reference_regrid(field: Map, size: int) -> Map:
    height, width = field.shape
    rows, columns = math.lcm(height, size), math.lcm(width, size)
    fine = np.kron(field, np.ones((rows // height, columns // width)))
    fine /= (rows // height) * (columns // width)
    return block_reduce(fine, (rows // size, columns // size), np.sum)


def reference_density(gate: Map, size: int = 8) -> Map:
    excess = reference_excess(gate)
    return reference_regrid(excess / excess.sum(), size)


def reference_relief(gate: Map) -> Map:
    coarse = reference_regrid(reference_excess(gate), 16)
    return (coarse - coarse.min()) / (coarse.max() - coarse.min())
