"""Image files in a folder, nested or flat, decoded when a tile is asked for."""

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from shared.errors import ConfigurationError
from trainer.data.slide import SLIDE_SUFFIXES, open_slide
from trainer.data.source import RGB, Collection, Skipped, TileSource
from trainer.data.tissue import TissueMap, tissue_map

log = logging.getLogger(__name__)

IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
LARGEST_DECODED_PIXELS: Final = 64_000_000
_CACHE_BYTES: Final = 256 << 20
_EIGHT_BIT_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})


class DecodedImages:
    """The images that were decoded last, within a byte budget, in each process by itself."""

    def __init__(self, budget_bytes: int = _CACHE_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._images: OrderedDict[Path, RGB] = OrderedDict()
        self.nbytes = 0

    def get(self, path: Path) -> RGB:
        """Pixels (H, W, 3) of a file, decoded now if need be."""
        if path in self._images:
            self._images.move_to_end(path)
            return self._images[path]
        image = decode(path)
        self._images[path] = image
        self.nbytes += image.nbytes
        while self.nbytes > self._budget_bytes and len(self._images) > 1:
            self.nbytes -= self._images.popitem(last=False)[1].nbytes
        return image

    def __getstate__(self) -> dict[str, Any]:
        return {"_budget_bytes": self._budget_bytes, "_images": OrderedDict(), "nbytes": 0}


@dataclass(frozen=True, slots=True)
class ImageSource:
    """One image file."""

    name: str
    path: Path
    height: int
    width: int
    decoded: DecodedImages
    slide: str | None = None
    mpp: float | None = None
    tissue: TissueMap | None = None

    def read(self, row: int, col: int, height: int, width: int) -> RGB:
        """Pixels (height, width, 3), uint8 RGB, of a rectangle that lies inside."""
        return self.decoded.get(self.path)[row : row + height, col : col + width]


def open_folder(folder: Path, *, mpp: float | None = None) -> Collection:
    """All images of a folder and its subfolders.

    A subfolder stands for the slide that its images come from. Files that cannot be read are
    left out and named. Each image is decoded once here, to find tissue, and let go again.

    Raises
    ------
    ConfigurationError
        If nothing can be read.
    """
    paths = sorted(path for path in folder.rglob("*") if _is_image(path))
    collection = open_files(paths, root=folder, mpp=mpp)
    if not paths:
        raise ConfigurationError(
            f"no images in {folder}: expected PNG, JPEG, TIFF or whole-slide files"
        )
    return collection


def open_files(paths: Iterable[Path], *, root: Path, mpp: float | None = None) -> Collection:
    """Images of these files, named by their paths below `root`.

    Raises
    ------
    ConfigurationError
        If there are files and none can be read.
    """
    decoded = DecodedImages()
    with ThreadPoolExecutor(max_workers=min(8, cpu_count() or 1)) as pool:
        found = list(pool.map(lambda path: _open(path, root, decoded, mpp), paths))
    skipped = tuple(item for item in found if isinstance(item, Skipped))
    sources = tuple(item for item in found if not isinstance(item, Skipped))
    if skipped:
        _report(skipped)
    if skipped and not sources:
        raise ConfigurationError(
            f"none of the {len(skipped)} images in {root} can be read, the first is {skipped[0]}"
        )
    return Collection(sources, skipped)


def decode(path: Path) -> RGB:
    """Pixels (H, W, 3), uint8 RGB, of an image file; alpha is left out.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, has more than 8 bits a channel, or is too large to be decoded
        at once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_DECODED_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are too many to decode")
            if image.mode not in _EIGHT_BIT_MODES:
                raise ValueError(f"mode {image.mode}, expected 8 bits a channel")
            return np.asarray(image.convert("RGB"))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | SLIDE_SUFFIXES and path.is_file()


def _open(
    path: Path, root: Path, decoded: DecodedImages, mpp: float | None
) -> TileSource | Skipped:
    name = path.relative_to(root).as_posix()
    try:
        if path.suffix.lower() in SLIDE_SUFFIXES or _too_large(path):
            return open_slide(path, name=name, mpp=mpp)
        image = decode(path)
    except ConfigurationError as error:
        return Skipped(name, str(error))
    except Exception as error:  # whatever a decoder raises on bytes from outside
        return Skipped(name, str(error) or type(error).__name__)
    parent = path.relative_to(root).parent.as_posix()
    slide = None if parent == "." else parent
    height, width = image.shape[:2]
    return ImageSource(name, path, height, width, decoded, slide, mpp, tissue_map(image))


def _too_large(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                return image.width * image.height > LARGEST_DECODED_PIXELS
        except Image.DecompressionBombError:
            return True


def _report(skipped: tuple[Skipped, ...]) -> None:
    for item in skipped[:20]:
        log.warning("skipped %s", item)
    more = f" ({len(skipped) - 20} more not listed)" if len(skipped) > 20 else ""
    images = "image was" if len(skipped) == 1 else "images were"
    log.warning("%d unreadable %s skipped%s", len(skipped), images, more)
