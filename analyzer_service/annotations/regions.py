"""What is marked in an image, and what was wrong with the way it was said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ring: TypeAlias = NDArray[np.float64]
"""Corners (n, 2) as (x, y) in pixels, origin at the image's top left; the last is the first."""

UNCLASSIFIED: Final = "unclassified"
"""The class of what was marked without naming one."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One area: its outline, then the outlines of its holes.

    Attributes
    ----------
    rings : tuple of ndarray of shape (n, 2)
        Closed, as `Ring` says; none crosses itself or another one.
    """

    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One annotation, of one or several areas, which count together.

    Attributes
    ----------
    polygons : tuple of Polygon
        At least one.
    label : str
        Its class, or `UNCLASSIFIED`.
    color : (int, int, int) or None
        Of the class, red, green, blue from 0 to 255.
    object_type : str
        QuPath's: ``annotation``, ``detection``, ``cell``.
    locked : bool
        Whether QuPath shall keep it from being moved.
    measurements : mapping of str to float
        What the program that wrote it measured; kept, not used.
    """

    polygons: tuple[Polygon, ...]
    label: str = UNCLASSIFIED
    color: tuple[int, int, int] | None = None
    object_type: str = "annotation"
    locked: bool = False
    measurements: Mapping[str, float] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least and largest x and y: ``(left, top, right, bottom)``."""
        outlines = np.concatenate([polygon.rings[0] for polygon in self.polygons])
        left, top = outlines.min(axis=0)
        right, bottom = outlines.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


FAULTS: Final = {
    "not_annotations": "files that are neither GeoJSON nor Web Annotation",
    "unreadable": "annotations that could not be read",
    "no_area": "points, lines and other marks without an area, left out",
    "open": "outlines that were not closed: closed",
    "crossing": "outlines that cross themselves or their holes: repaired",
    "unclassified": "annotations without a class: one class of their own",
    "outside": "annotations that reach beyond their tile: clipped",
    "elsewhere": "files of a tile whose annotations all lie beyond it, left out",
    "unplaced": "tiles whose place in their image is not known, left out",
    "unknown_class": "annotations of classes that were not asked for, left out",
    "unknown_tile": "files of no tile that the run kept, left out",
    "training_tile": "files of training tiles, which are flipped and turned, left out",
    "ambiguous": "files whose name fits more than one image, left out",
    "untouched": "files of the task list that nobody has annotated yet, left out",
    "skipped": "tiles that their reader skipped, left out",
    "unread_frame": "tiles whose images and maps are gone or damaged, left out",
    "twice": "further files of a tile that another file annotates, left out",
}
"""Every kind of fault, in words that follow a count."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was wrong and was got around.

    Attributes
    ----------
    kind : str
        One of `FAULTS`.
    where : str
        The file, and the place in it.
    what : str
        In words, where there is more to say than the kind; may be empty.
    """

    kind: str
    where: str
    what: str = ""
