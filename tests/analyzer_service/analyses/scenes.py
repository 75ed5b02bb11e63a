"""Drawn tissue: shapes with known amounts of stain, absorbed as Beer and Lambert say."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

HEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])
DAB = np.array([0.27, 0.57, 0.78])
GLASS = np.array([0.93, 0.93, 0.94])

Mask = NDArray[np.bool_]


def disk(row: float, col: float, radius: float, shape: tuple[int, int] = (128, 128)) -> Mask:
    return ellipse(row, col, (radius, radius), shape)


def ellipse(
    row: float, col: float, axes: tuple[float, float], shape: tuple[int, int] = (128, 128)
) -> Mask:
    y, x = np.indices(shape)
    return ((y - row) / axes[0]) ** 2 + ((x - col) / axes[1]) ** 2 <= 1


def tissue(
    stained: Iterable[tuple[Mask, NDArray[np.float64], float]],
    *,
    shape: tuple[int, int] = (128, 128),
    white: NDArray[np.float64] = GLASS,
    ground: float = 0.15,
    noise: float = 0.008,
) -> NDArray[np.uint8]:
    """Eosin of density `ground`, and on each mask one more stain of the density given."""
    rng = np.random.default_rng(0)
    density = ground * EOSIN + rng.normal(0, noise, (*shape, 3))
    for mask, stain, amount in stained:
        density[mask] += amount * stain
    return np.clip(np.rint(255 * white * 10.0**-density), 0, 255).astype(np.uint8)
