"""Outlines of labeled objects over an image that shows them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.canvas import Canvas, Stroke

ON_TISSUE = "#00e0d0"
"""Tissue is stained pink, purple, blue or brown: turquoise is none of them."""

ON_ATTENTION = "#ffffff"
"""No color of the attention scale is white."""

_SMOOTHING = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
_REACH = len(_SMOOTHING) // 2


def outlined(image: NDArray[np.uint8], labels: NDArray[np.int32], color: str) -> NDArray[np.uint8]:
    """Draw a thin line around each object, dark at its sides so that it shows on any ground.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB; it is left as it is.
    labels : ndarray of shape (h, w), int32
        The same field, larger or smaller: 0 is background, every other number an object.
    color : str
        Of the lines.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    height, width = image.shape[:2]
    scale = np.array([width / labels.shape[1], height / labels.shape[0]])
    points = outlines(labels) * scale
    canvas = Canvas(width, height)
    canvas.image(image, 0, 0)
    for stroke in outline_strokes(color) if len(points) else ():
        canvas.line(points, stroke)
    return canvas.pixels


def outline_strokes(color: str) -> tuple[Stroke, Stroke]:
    """What an outline is drawn with, one over the other."""
    return Stroke("#101820", 2.4, alpha=0.5), Stroke(color, 1.1)


def outlines(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Closed lines around the objects, one after another.

    Returns
    -------
    ndarray of shape (N, 2), float64
        Points (x, y) in pixels, the center of the first at (0.5, 0.5); a row of NaN ends each
        line.
    """
    found, _ = cv2.findContours(labels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    chains = [chain[:, 0].astype(np.int32, copy=False) for chain in found]
    # OpenCV follows the background around the objects, too.
    closed = [_closed(chain) for chain in chains if labels[chain[0, 1], chain[0, 0]]]
    return np.concatenate(closed) if closed else np.empty((0, 2))


def _closed(chain: NDArray[np.int32]) -> NDArray[np.float64]:
    """A chain of an object's outermost pixels as a smooth line along their outer edges."""
    around = np.take(chain, np.arange(-_REACH, len(chain) + _REACH), axis=0, mode="wrap")
    x, y = (np.convolve(axis, _SMOOTHING, mode="valid") for axis in around.T)
    along_x, along_y = (np.roll(axis, -1) - np.roll(axis, 1) for axis in (x, y))
    length = np.hypot(along_x, along_y)
    half = np.divide(0.5, length, out=np.zeros_like(length), where=length > 0)
    line = np.column_stack([x + 0.5 - half * along_y, y + 0.5 + half * along_x])
    return np.concatenate([line, line[:1], np.full((1, 2), np.nan)])
