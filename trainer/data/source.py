"""What tiles are cut from: one image or slide, read a rectangle at a time."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.data.tissue import TissueMap

RGB = NDArray[np.uint8]


class TileSource(Protocol):
    """An image of `height` x `width` pixels."""

    @property
    def name(self) -> str:
        """Path below the data's root, or a name."""
        ...

    @property
    def slide(self) -> str | None:
        """Slide that it belongs to, where known."""
        ...

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def width(self) -> int:
        """Columns."""
        ...

    @property
    def mpp(self) -> float | None:
        """Micrometers per pixel, where known."""
        ...

    @property
    def tissue(self) -> TissueMap | None:
        """Where tissue is; None when all of it counts."""
        ...

    def read(self, row: int, col: int, height: int, width: int) -> RGB:
        """Pixels (height, width, 3), uint8 RGB, of a rectangle that lies inside."""
        ...


@dataclass(frozen=True, slots=True)
class ArraySource:
    """One image of a stack that lies in memory (or is mapped into it).

    `stack` is uint8 of shape (N, H, W, 3), or (N, H, W) for gray images.
    """

    name: str
    stack: NDArray[np.uint8]
    index: int = 0
    slide: str | None = None
    mpp: float | None = None
    tissue: TissueMap | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.stack.shape[1])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.stack.shape[2])

    def read(self, row: int, col: int, height: int, width: int) -> RGB:
        """Pixels (height, width, 3), uint8 RGB, of a rectangle that lies inside."""
        tile = self.stack[self.index, row : row + height, col : col + width]
        return tile if tile.ndim == 3 else np.repeat(tile[..., None], 3, axis=-1)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that cannot be used, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Collection:
    """Everything that was found under one ``--data``.

    Attributes
    ----------
    sources : sequence of TileSource
        Images, in order of their names.
    skipped : tuple of Skipped
        Files that were left out.
    held_out : frozenset of int or None
        Sources that the data itself sets aside for validation; None when it does not say.
    stain : {"he", "ihc"} or None
        When it is known beforehand.
    in_memory : bool
        Whether reading a tile costs next to nothing.
    """

    sources: tuple[TileSource, ...]
    skipped: tuple[Skipped, ...] = ()
    held_out: frozenset[int] | None = None
    stain: str | None = None
    in_memory: bool = field(default=False)
