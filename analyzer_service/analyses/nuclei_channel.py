"""How much more than its surroundings a pixel is stained as nuclei are.

Hematoxylin absorbs red light, and so does DAB; eosin and red cells let it pass. Of the blue
light eosin, collagen and DAB absorb more. So the channel is the optical density of red less a
share of blue's: it holds blue and brown nuclei at similar levels, and little else. A tint of the
background multiplies intensities, adds a constant to the channel, and changes no difference in
it: no white point has to be known.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

BLUE_SHARE: Final = 0.3
SMOOTHING_UM: Final = 0.5  # noise goes, outlines stay
WINDOW_UM: Final = 8.0  # reach of "surroundings": QuPath's background radius
CELL_UM: Final = 2.0  # grid on which levels are averaged
MIN_CONTRAST: Final = 0.03  # optical density; paler differences are folds, mucus and noise
FEW_CONTRAST: Final = 0.06  # above the median, where nuclei are too few for a class of their own
PRIOR: Final = 0.1  # weight of the whole tile's levels against those nearby
MIDWAY: Final = 0.45  # between the levels of surroundings and nuclei
BROAD: Final = 16.0  # pixels
_ROUNDS: Final = 2
_DENSITIES: Final = -np.log10(np.maximum(np.arange(256), 1) / 255.0).astype(np.float32)


@dataclass(frozen=True)
class Staining:
    """What the channel shows, both of shape (H, W), float32.

    `relative` is 0 at the level of the surroundings and 1 at that of the nuclei nearby;
    `contrast` is the optical density between those two levels.
    """

    relative: Image
    contrast: Image


def nuclear_channel(rgb: NDArray[np.uint8], *, pixel_um: float) -> Image:
    """Optical density of red less 0.3 of blue's, smoothed, float32 of shape (H, W)."""
    red = cv2.LUT(cv2.extractChannel(rgb, 0), _DENSITIES)
    blue = cv2.LUT(cv2.extractChannel(rgb, 2), _DENSITIES)
    return smooth(cv2.addWeighted(red, 1.0, blue, -BLUE_SHARE, 0.0), SMOOTHING_UM / pixel_um)


def staining(channel: Image, *, pixel_um: float) -> Staining | None:
    """Compare a channel with the levels of surroundings and nuclei near each pixel.

    Both levels are found by turns: classes first by Otsu's threshold, then by one midway between
    the averages of the classes nearby.

    Returns
    -------
    Staining or None
        None if nothing stands out: the classes differ by less than 0.03 optical density.
    """
    threshold = _class_limit(channel)
    if threshold is None:
        return None
    levels = _local_levels(_coarse(channel, pixel_um), threshold)
    if levels is None:
        return None
    size = channel.shape[::-1]
    background, nuclei = (
        cv2.resize(level, size, interpolation=cv2.INTER_LINEAR) for level in levels
    )
    contrast = np.subtract(nuclei, background, out=nuclei)
    np.maximum(contrast, np.float32(MIN_CONTRAST), out=contrast)
    relative = np.subtract(channel, background, out=background)
    return Staining(np.divide(relative, contrast, out=relative), contrast)


def otsu_threshold(channel: Image) -> float:
    """Value that splits a channel's 256-bin histogram into the two most different classes."""
    low, high, _, _ = cv2.minMaxLoc(channel)
    if high <= low:
        return float(high)
    scale = 255.0 / (high - low)
    levels = cv2.convertScaleAbs(channel, alpha=scale, beta=-low * scale)
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(low + (level + 0.5) / scale)


def smooth(plane: Image, sigma: float) -> Image:
    """Gaussian blur, mirrored at the border; `sigma` in pixels, none below 0.3.

    Above 16 pixels it is that of averages over cells: its time has a limit.
    """
    if sigma < 0.3:
        return plane
    if sigma > BROAD:
        return _smooth_broadly(plane, sigma)
    blurred: Image = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return blurred


def _smooth_broadly(plane: Image, sigma: float) -> Image:
    size = plane.shape[::-1]
    cells = (max(1, round(4 * size[0] / sigma)), max(1, round(4 * size[1] / sigma)))
    coarse = smooth(cv2.resize(plane, cells, interpolation=cv2.INTER_AREA), 4.0)
    blurred: Image = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return blurred


def _class_limit(channel: Image) -> float | None:
    """Value that parts nuclei from the rest; None if nothing stands out.

    Otsu's, unless it halves the noise: in a tile with few nuclei the median is background.
    """
    threshold = otsu_threshold(channel)
    if _difference(channel, threshold) >= MIN_CONTRAST:
        return threshold
    threshold = float(np.median(channel)) + FEW_CONTRAST
    return threshold if float(channel.max()) > threshold else None


def _difference(channel: Image, threshold: float) -> float:
    """Difference of the mean values above a threshold and up to it; 0 if one is empty."""
    above = (channel > threshold).view(np.uint8)
    share = cv2.countNonZero(above) / above.size
    if share in (0.0, 1.0):
        return 0.0
    high, overall = cv2.mean(channel, above)[0], cv2.mean(channel)[0]
    return float((high - overall) / (1 - share))


def _coarse(channel: Image, pixel_um: float) -> Image:
    """The channel averaged over cells of 2 µm."""
    side = max(1, round(CELL_UM / pixel_um))
    height, width = channel.shape
    size = (max(1, width // side), max(1, height // side))
    coarse: Image = cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
    return coarse


def _local_levels(coarse: Image, threshold: float) -> tuple[Image, Image] | None:
    """Levels of surroundings and of nuclei near each cell; None if there is only one class.

    Each is a weighted local average, drawn toward that of the whole tile where its class is rare.
    """
    limit: Image | float = threshold
    levels = None
    everything, total = _nearby(coarse), float(coarse.sum(dtype=np.float64))
    for _ in range(_ROUNDS):
        nuclear = (coarse > limit).astype(np.float32)
        count = int(np.count_nonzero(nuclear))
        if count in (0, coarse.size):
            return levels
        stained = nuclear * coarse
        inside = float(stained.sum(dtype=np.float64))
        weight, sums = _nearby(nuclear), _nearby(stained)
        high = PRIOR * inside / count
        low = PRIOR * (total - inside) / (coarse.size - count)
        background = (everything - sums + low) / (1 - weight + PRIOR)
        nuclei = (sums + high) / (weight + PRIOR)
        levels = background, nuclei
        limit = background + MIDWAY * (nuclei - background)
    return levels


def _nearby(coarse: Image) -> Image:
    return smooth(coarse, WINDOW_UM / CELL_UM)
