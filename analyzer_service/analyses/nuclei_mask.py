"""Masks of nuclei, uint8 of 0 and 1: opening, holes, and how large the nuclei in one are."""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]

MIN_RADIUS: Final = 2.0  # pixels; smaller nuclei have no shape
HOLE_SHARE: Final = 0.7  # of the nuclear radius: clear chromatin and nucleoli, no lumens


def opened(mask: Mask, radius: float) -> Mask:
    """Remove what is thinner than a disk, of at least one pixel's radius."""
    reach = max(1, round(radius))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disk), dtype=np.uint8)


def without_holes(mask: Mask, nuclear_radius: float) -> Mask:
    """Fill the holes that fit into a nucleus; an opening at the border is no hole."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(framed, None, (0, 0), 1, flags=4)  # what is left as 0 is in holes
    if cv2.countNonZero(framed) == framed.size:
        return mask
    outlines, tree = cv2.findContours(framed, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    limit = math.pi * (HOLE_SHARE * nuclear_radius) ** 2
    holes = [
        outline
        for outline, parent in zip(outlines, tree[0, :, 3].tolist(), strict=True)
        if parent >= 0 and _encloses_at_most(outline, limit)
    ]
    result = mask.copy()
    cv2.drawContours(result, holes, -1, 1, cv2.FILLED, offset=(-1, -1))
    return result


def depth(mask: Mask) -> NDArray[Any]:
    """Distance to the nearest pixel outside, float32; what is beyond the border is not outside."""
    distance: NDArray[Any] = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    return distance


def typical_radius(distance: NDArray[Any]) -> float:
    """Radius in pixels of the nuclei in a mask, from its `depth`.

    A quarter of a disk's area lies deeper than half its radius. Every fourth pixel tells enough.
    """
    sample = distance[::2, ::2]
    inside = sample[sample > 0]
    if not inside.size:
        return MIN_RADIUS
    rank = (3 * inside.size) // 4
    radius = 2.0 * float(np.partition(inside, rank)[rank])
    return max(MIN_RADIUS, min(radius, float(max(distance.shape))))  # a mask may have no end


def _encloses_at_most(outline: NDArray[Any], pixels: float) -> bool:
    """Count the pixels inside an outline that runs through those around them.

    By Pick's theorem; but N points with steps up to a diagonal enclose no more than a circle.
    """
    points = len(outline)
    if points * points <= 2 * math.pi * pixels:
        return True
    return float(cv2.contourArea(outline)) - points / 2 + 1 <= pixels
