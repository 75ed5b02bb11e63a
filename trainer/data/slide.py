"""Whole-slide images, read through OpenSlide a region at a time."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from shared.errors import ConfigurationError
from trainer.data.source import RGB
from trainer.data.tissue import TissueMap, tissue_map

SLIDE_SUFFIXES: Final = frozenset(
    {".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide"}
)
_OVERVIEW_SIDE: Final = 2048
_LARGEST_OVERVIEW_PIXELS: Final = 64_000_000


class SlideSource:
    """One slide at its full resolution; the file is opened in each process when needed.

    Pixels outside of the scanned area are white.
    """

    def __init__(self, path: Path, *, name: str | None = None, mpp: float | None = None) -> None:
        self.path = path
        self.name = name or path.name
        self.slide: str | None = path.stem
        self._handle: Any = None
        self.width, self.height = self._open().dimensions
        self.mpp = mpp or _read_mpp(self._open().properties)
        self.tissue: TissueMap | None = self._find_tissue()

    def read(self, row: int, col: int, height: int, width: int) -> RGB:
        """Pixels (height, width, 3), uint8 RGB, of a rectangle that lies inside."""
        return _on_white(self._open().read_region((col, row), 0, (width, height)))

    def _open(self) -> Any:
        if self._handle is None:
            self._handle = _openslide().OpenSlide(str(self.path))
        return self._handle

    def _find_tissue(self) -> TissueMap:
        slide = self._open()
        side = max(self.width, self.height)
        downsample = max(1.0, side / _OVERVIEW_SIDE)
        level = slide.get_best_level_for_downsample(downsample)
        size = slide.level_dimensions[level]
        if size[0] * size[1] > _LARGEST_OVERVIEW_PIXELS:
            raise ConfigurationError(
                f"{self.path} has no overview level: its smallest usable one is "
                f"{size[0]}x{size[1]}; save it as a pyramidal TIFF"
            )
        overview = _on_white(slide.read_region((0, 0), level, size))
        found = tissue_map(overview, cell=max(1, round(8 / slide.level_downsamples[level])))
        return TissueMap(found.share, found.cell * slide.level_downsamples[level])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None}


def open_slide(path: Path, *, name: str | None = None, mpp: float | None = None) -> SlideSource:
    """Open a whole-slide image.

    Raises
    ------
    ConfigurationError
        If OpenSlide is not installed, or cannot read the file.
    """
    openslide = _openslide()
    try:
        return SlideSource(path, name=name, mpp=mpp)
    except (openslide.OpenSlideError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read as a whole-slide image: {error}") from None


def _openslide() -> Any:
    try:
        import openslide
    except ImportError:
        raise ConfigurationError(
            "whole-slide images need OpenSlide: pip install 'sidelight[wsi]'"
        ) from None
    return openslide


def _read_mpp(properties: Any) -> float | None:
    try:
        x, y = (float(properties[f"openslide.mpp-{axis}"]) for axis in "xy")
    except (KeyError, ValueError):
        return None
    return (x + y) / 2 if x > 0 and y > 0 else None


def _on_white(region: Image.Image) -> RGB:
    white = Image.new("RGB", region.size, (255, 255, 255))
    white.paste(region, mask=region.getchannel("A"))
    return np.asarray(white)
