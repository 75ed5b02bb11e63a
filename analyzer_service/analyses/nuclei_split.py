"""Touching nuclei taken apart: basins of a relief, joined again where there is no neck.

Every pixel of the mask climbs to its highest neighbor until it stands on a top; the pixels of one
top make a basin. It does what markers and a watershed do, with one sort and one dilation.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.nuclei_channel import smooth
from analyzer_service.analyses.nuclei_mask import (
    Mask,
    depth,
    opened,
    typical_radius,
    without_holes,
)

Ints = NDArray[np.intp]

VICINITY: Final = 3.0  # nuclear radii, side of the square that a gap is compared with
GAP: Final = 0.07  # relative staining that a gap lacks against the average of its vicinity
FINE: Final = 0.1  # of the nuclear radius: what is smaller is texture
STAIN_REACH: Final = 0.3  # of the nuclear radius, for the staining in the relief
STAIN_SHARE: Final = 0.25  # of staining against depth in the relief
NECK: Final = 0.93  # passage between two tops that parts them, as a share of the lower one
_STEEPEST: Final = 65_535  # uint16 sorts by radix
_EXACT: Final = 2**24  # integers up to here are exact in float32


@dataclass(frozen=True)
class Parts:
    """What a mask was parted into.

    `places` are the indices of its pixels in the raveled image, `part` the number from 0 of the
    part that each belongs to; `radius` is the nuclear radius, in pixels, that it went by.
    """

    places: Ints
    part: Ints
    count: int
    radius: float


def split(mask: Mask, relative: NDArray[Any], *, radius: float) -> Parts:
    """Part a mask into single nuclei.

    Parameters
    ----------
    mask : ndarray of shape (H, W), uint8 of 0 and 1
    relative : ndarray of shape (H, W), float32
        Staining relative to the surroundings.
    radius : float
        First guess of the nuclear radius in pixels, too large where nuclei touch.
    """
    distance = depth(_cores(mask, relative, radius))
    radius = typical_radius(distance)
    relief = smooth(distance, FINE * radius) / np.float32(radius)
    relief += np.float32(STAIN_SHARE) * smooth(relative, STAIN_REACH * radius)
    places = np.flatnonzero(mask.view(bool))
    part, tops = _basins(relief, places)
    joined = _joined(relief, places, part, tops)
    return Parts(places, joined[part], len(tops), radius)


def _cores(mask: Mask, relative: NDArray[Any], radius: float) -> Mask:
    """The mask without the paler gaps between neighbors."""
    side = 2 * round(VICINITY * radius / 2) + 1
    nearby = cv2.blur(relative, (side, side), borderType=cv2.BORDER_REFLECT)
    darker = relative > nearby - np.float32(GAP)
    cores = opened(mask & darker.view(np.uint8), FINE * radius)
    return without_holes(cores, radius) & mask


def _basins(relief: NDArray[Any], places: Ints) -> tuple[Ints, Ints]:
    """The basin, from 0, of each place, and the place of each basin's top.

    Places are ranked by height, equals by position: each has one highest neighbor.
    """
    order = np.argsort(_levels(relief.ravel()[places]), kind="stable")
    ranked = places[order]
    kind = np.float32 if len(places) < _EXACT else np.float64
    ranks = np.full(relief.shape, -1, dtype=kind)
    ranks.ravel()[ranked] = np.arange(len(places), dtype=kind)
    highest = cv2.dilate(ranks, np.ones((3, 3), np.uint8)).ravel()[ranked].astype(np.intp)
    is_top = highest == np.arange(len(places))
    number = np.cumsum(is_top) - 1
    part = np.empty(len(places), dtype=np.intp)
    part[order] = number[_climb(highest)]
    return part, ranked[is_top]


def _levels(heights: NDArray[Any]) -> NDArray[np.uint16]:
    low, high = float(heights.min()), float(heights.max())
    scale = _STEEPEST / (high - low) if high > low else 0.0
    return ((heights - np.float32(low)) * np.float32(scale)).astype(np.uint16)


def _climb(upward: Ints) -> Ints:
    while True:
        further = upward[upward]
        if np.array_equal(further, upward):
            return upward
        upward = further


def _joined(relief: NDArray[Any], places: Ints, part: Ints, tops: Ints) -> Ints:
    """For each basin the one it becomes part of: passages are tried from the highest down."""
    heights, parent = relief.ravel()[tops].tolist(), list(range(len(tops)))

    def find(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    basins = np.full(relief.shape, -1, dtype=np.int32)
    basins.ravel()[places] = part
    for height, first, second in _passages(basins, relief, len(tops)):
        one, other = find(first), find(second)
        if one != other and height >= NECK * min(heights[one], heights[other]):
            parent[other] = one
            heights[one] = max(heights[one], heights[other])
    return np.array([find(basin) for basin in range(len(tops))], dtype=np.intp)


def _passages(
    basins: NDArray[np.int32], relief: NDArray[Any], count: int
) -> list[tuple[float, int, int]]:
    """Where each two neighbors meet highest: the height and both basins, the highest first."""
    heights, codes = [], []
    for one, other, near, far in (
        (basins[:, :-1], basins[:, 1:], relief[:, :-1], relief[:, 1:]),
        (basins[:-1], basins[1:], relief[:-1], relief[1:]),
    ):
        meet = np.flatnonzero((one != other) & (one >= 0) & (other >= 0))
        row, col = np.divmod(meet, one.shape[1])
        a, b = one[row, col], other[row, col]
        codes.append(np.minimum(a, b).astype(np.intp) * count + np.maximum(a, b))
        heights.append(np.minimum(near[row, col], far[row, col]))
    height, code = np.concatenate(heights), np.concatenate(codes)
    fall = np.argsort(-height, kind="stable")
    highest = fall[np.sort(np.unique(code[fall], return_index=True)[1])]
    pair = code[highest]
    one, other = (pair // count).tolist(), (pair % count).tolist()
    return list(zip(height[highest].tolist(), one, other, strict=True))
