"""Images for the tests of what is computed from pixels, synthetic and real."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

SHARED_DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
STAIN = SHARED_DATA / "stain"

needs_real_tissue = pytest.mark.skipif(not STAIN.exists(), reason="real tissue is not here")

HEMATOXYLIN = np.array([0.65, 0.70, 0.29]) / np.linalg.norm([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11]) / np.linalg.norm([0.07, 0.99, 0.11])
DAB = np.array([0.27, 0.57, 0.78]) / np.linalg.norm([0.27, 0.57, 0.78])

ODD_SHAPES = [(1, 1), (2, 3), (7, 7), (1, 40), (40, 1), (8, 9)]


def colors(height: int = 32, width: int = 32, *, seed: int = 0) -> NDArray[np.uint8]:
    """Every pixel another color, neighbors alike: smooth noise with black and white in it."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.random((height, width, 3)), (0, 0), 1.0).reshape(height, width, 3)
    image = np.clip((field - 0.5) * 900 + 128, 0, 255).astype(np.uint8)
    image[: height // 8] = 255
    image[height // 8 : height // 4, : width // 4] = 0
    return image


def stained(
    amounts: NDArray[np.float64], rows: list[NDArray[np.float64]], *, white: float | tuple = 1.0
) -> NDArray[np.float64]:
    """Float image of pixels (H, W, K) with so much of K stains, as Beer and Lambert say."""
    return np.asarray(white) * 10.0 ** -(amounts @ np.stack(rows))


def mixture(
    height: int = 64, width: int = 64, *, seed: int = 0, alone: float = 0.1
) -> NDArray[np.float64]:
    """Amounts (H, W, 2) of two stains between 0.3 and 1; a share of pixels has one `alone`."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.3, 1.0, (height, width, 2))
    which = rng.random((height, width))
    amounts[which < alone, 1] = 0
    amounts[which > 1 - alone, 0] = 0
    return amounts


def read_png(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
