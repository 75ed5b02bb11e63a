"""Bring images and maps to the size at which they are shown."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", NDArray[np.uint8], NDArray[np.float32])


def shown_size(shape: tuple[int, ...], room: tuple[float, float]) -> tuple[int, int]:
    """Largest (width, height) in whole pixels with the aspect of `shape` (H, W) inside `room`.

    Examples
    --------
    >>> shown_size((64, 128), (384, 384))
    (384, 192)
    """
    height, width = shape[:2]
    scale = min(room[0] / width, room[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def scaled(values: Values, size: tuple[int, int]) -> Values:
    """Resize `values` (H, W) or (H, W, 3) to `size` (width, height).

    Whole multiples repeat pixels as they are; other enlargements interpolate linearly, and
    what must shrink is averaged.
    """
    height, width = values.shape[:2]
    if size[1] % height == 0 and size[0] % width == 0:
        return values.repeat(size[1] // height, axis=0).repeat(size[0] // width, axis=1)
    return smooth(values, size)


def smooth(values: Values, size: tuple[int, int]) -> Values:
    """Resize to `size` (width, height), linear between the centers of cells, or averaged."""
    shrinks = size[0] < values.shape[1] or size[1] < values.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: Values = cv2.resize(values, size, interpolation=method)  # type: ignore[assignment]
    return resized
