"""Images that look like tissue to the tissue finder, and folders of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARED_DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
TISSUE = SHARED_DATA / "tissue"

HEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])
DAB = np.array([0.27, 0.57, 0.78])


def stained(
    height: int = 160, width: int = 160, *, stains: tuple = (HEMATOXYLIN, EOSIN), seed: int = 0
) -> NDArray[np.uint8]:
    """Tissue of random stain amounts: light is absorbed as Beer and Lambert say."""
    rng = np.random.default_rng(seed)
    density = sum(rng.uniform(0.2, 0.8, (height, width, 1)) * stain for stain in stains)
    return np.round(255 * 10.0**-density).astype(np.uint8)


def white(height: int = 160, width: int = 160) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 245, np.uint8)


def save(path: Path, image: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def make_folder(folder: Path, count: int, *, subfolder: str = "", **options) -> Path:
    """`count` PNG images of tissue."""
    for i in range(count):
        save(folder / subfolder / f"tile_{i}.png", stained(seed=i, **options))
    return folder


def numbered(height: int, width: int) -> NDArray[np.uint8]:
    """An image whose pixels say where they are: red is the row, green the column, of 256."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(height)[:, None] % 256
    image[..., 1] = np.arange(width)[None] % 256
    return image
