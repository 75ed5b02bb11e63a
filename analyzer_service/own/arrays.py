"""Tensors and arrays of any library, as the images and maps of a frame.

Tensors are known by what they can do (``detach``, ``cpu``, ``numpy``): no library of theirs is
imported.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import ArrayError

_CHANNELS: Final = (1, 3)


def as_array(value: Any) -> NDArray[Any]:
    """An array of what `value` holds, wherever it holds it.

    Raises
    ------
    ArrayError
        If it holds no array.
    """
    try:
        for step in ("detach", "cpu"):
            value = getattr(value, step, lambda value=value: value)()
        if hasattr(value, "numpy"):
            value = _numpy_of(value)
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArrayError(f"expected an array or a tensor: {error}") from error


def as_images(value: Any) -> NDArray[np.uint8]:
    """Images of shape (N, H, W, 3), uint8, as a trainer sends them.

    Parameters
    ----------
    value : array or tensor
        (N, C, H, W) or (N, H, W, C), or one image without N; C of 1 (repeated) or 3; float in
        [0, 1], clipped, NaN becoming 0, or uint8. Where it may be either, a tensor has its
        channels first, an array last.

    Raises
    ------
    ArrayError
        If it is none of these.
    """
    is_tensor = hasattr(value, "detach")
    images = as_array(value)
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or not {images.shape[1], images.shape[3]} & set(_CHANNELS):
        raise ArrayError(
            f"expected images (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, got {images.shape}"
        )
    last, first = (images.shape[axis] in _CHANNELS for axis in (3, 1))
    if first and (is_tensor or not last):
        images = images.transpose(0, 2, 3, 1)
    if images.dtype != np.uint8:
        images = _as_uint8(images)
    return np.ascontiguousarray(np.broadcast_to(images, (*images.shape[:3], 3)))


def as_maps(value: Any) -> NDArray[np.float32]:
    """Maps of shape (N, h, w), float32; a gate (N, C, h, w) is averaged over its channels.

    Raises
    ------
    ArrayError
        If it has another number of dimensions (one map may come without N), or no real numbers.
    """
    maps = as_array(value)
    if maps.dtype.kind not in "biuf":
        raise ArrayError(f"expected maps of real numbers, got dtype {maps.dtype}")
    if maps.ndim == 4:
        maps = maps.mean(axis=1, dtype=np.float64)
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3:
        raise ArrayError(f"expected maps (N, h, w) or a gate (N, C, h, w), got shape {maps.shape}")
    return np.ascontiguousarray(maps, dtype=np.float32)


def _numpy_of(tensor: Any) -> Any:
    try:
        return tensor.numpy()
    except TypeError:  # a type that numpy lacks, as bfloat16
        return tensor.float().numpy()


def _as_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype.kind != "f":
        raise ArrayError(f"expected images as uint8 or float in [0, 1], got {images.dtype}")
    # Clipped first: float32 may not hold what float64 does. Then in float32 and rounded to even, as
    # the trainer does: the same image gives the same bytes.
    shown: NDArray[np.float32] = np.clip(np.nan_to_num(images, nan=0.0), 0, 1).astype(np.float32)
    pixels: NDArray[np.uint8] = np.rint(shown * np.float32(255)).astype(np.uint8)
    return pixels
