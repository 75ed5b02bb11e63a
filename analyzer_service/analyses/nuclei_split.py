"""Touching nuclei taken apart: basins of a relief, joined again where there is no neck.

Every pixel of the mask climbs to its highest neighbor until it stands on a top; the pixels of one
top make a basin. It does what markers and a watershed do, with one sort and one dilation.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats
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
_STEEPEST: Final = 65_535  # what differs by less is level


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
    relief += smooth(relative, STAIN_REACH * radius) * np.float32(STAIN_SHARE)
    places = np.flatnonzero(mask.view(bool))
    part, tops = _basins(relief, places)
    basins = np.zeros(relief.shape, dtype=np.int32)
    basins.ravel()[places] = part.astype(np.int32)
    peaks = relief.take(tops)
    joined = _joined(_passages(basins, mask, relief, peaks), peaks)
    return Parts(places, joined.take(part), len(tops), radius)


def _cores(mask: Mask, relative: NDArray[Any], radius: float) -> Mask:
    """The mask without the paler gaps between neighbors."""
    side = 2 * round(VICINITY * radius / 2) + 1
    nearby = cv2.blur(relative, (side, side), borderType=cv2.BORDER_REFLECT)
    darker = relative > nearby - np.float32(GAP)
    cores = opened(mask & darker.view(np.uint8), FINE * radius)
    return without_holes(cores, radius) & mask


def _basins(relief: NDArray[Any], places: Ints) -> tuple[Ints, Ints]:
    """The basin, from 0, of each place, and the place of each basin's top.

    Each place has one highest neighbor: of equals the last one.
    """
    own = np.arange(len(places))
    bits = len(places).bit_length()  # with the 16 of a level they are exact in float64
    ranks = np.full(relief.shape, -1.0)
    ranks.ravel()[places] = _levels(relief.take(places)) * float(1 << bits) + own
    highest = cv2.dilate(ranks, np.ones((3, 3), np.uint8)).take(places)
    upward = highest.astype(np.intp) & ((1 << bits) - 1)
    tops = np.flatnonzero(upward == own)
    number = np.empty(len(places), dtype=np.intp)
    number[tops] = own[: len(tops)]
    return number.take(_climb(upward)), places[tops]


def _levels(heights: NDArray[Any]) -> NDArray[np.uint16]:
    low, high = float(heights.min()), float(heights.max())
    scale = _STEEPEST / (high - low) if high > low else 0.0
    return ((heights - np.float32(low)) * np.float32(scale)).astype(np.uint16)


def _climb(upward: Ints) -> Ints:
    """Where each index ends that follows `upward` to a fixed point.

    After four steps most are at places where many paths meet: those few climb on for all.
    """
    ahead = upward.take(upward)
    ahead = ahead.take(ahead)
    met = np.zeros(len(upward), dtype=bool)
    met[ahead] = True
    hubs = np.flatnonzero(met)
    reached = ahead.take(hubs)
    while True:
        further = ahead.take(reached)
        if np.array_equal(further, reached):
            return ahead.take(ahead)
        ahead[hubs] = reached = further


def _joined(passages: list[tuple[float, int, int]], peaks: NDArray[Any]) -> Ints:
    """For each basin the one it becomes part of: passages are tried from the highest down."""
    heights, parent = peaks.tolist(), list(range(len(peaks)))

    def find(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    for height, first, second in passages:
        one, other = find(first), find(second)
        if one != other and height >= NECK * min(heights[one], heights[other]):
            parent[other] = one
            heights[one] = max(heights[one], heights[other])
    return _climb(np.array(parent, dtype=np.intp))


def _passages(
    basins: NDArray[np.int32], mask: Mask, relief: NDArray[Any], peaks: NDArray[Any]
) -> list[tuple[float, int, int]]:
    """Where each two neighbors meet highest: the height and both basins, the highest first.

    Passages too low for the lower of both peaks are left out: joined, basins only get higher.
    """
    meetings = [_meetings(basins, mask, relief, step) for step in (1, basins.shape[1])]
    height, one, other = (np.concatenate(both) for both in zip(*meetings, strict=True))
    lower = np.minimum(peaks.take(one), peaks.take(other)).astype(np.float64)
    fits = np.flatnonzero(height >= NECK * lower)
    height, one, other = (values.take(fits) for values in (height, one, other))
    code = np.minimum(one, other).astype(np.intp) * len(peaks) + np.maximum(one, other)
    order = np.lexsort((-height, code))
    pair = code.take(order)
    first = order[np.flatnonzero(np.diff(pair, prepend=-1))]
    first = first[np.lexsort((first, -height.take(first)))]
    found = (values.take(first).tolist() for values in (height, one, other))
    return list(zip(*found, strict=True))


def _meetings(
    basins: NDArray[np.int32], mask: Mask, relief: NDArray[Any], step: int
) -> tuple[Floats, NDArray[np.int32], NDArray[np.int32]]:
    """Height and basins where two neighbors meet, a `step` apart in the raveled image."""
    number, inside, width = basins.ravel(), mask.view(bool).ravel(), mask.shape[1]
    meet = number[:-step] != number[step:]
    meet &= inside[:-step]
    meet &= inside[step:]
    if step < width:  # what follows the end of a row is not beside it
        meet[width - 1 :: width] = False
    near = np.flatnonzero(meet)
    far = near + step
    height = np.minimum(relief.take(near), relief.take(far)).astype(np.float64)
    return height, number.take(near), number.take(far)
