"""What counts as an attention map or an image, and the error for everything else.

Numbers that cannot be computed from a well-formed array (too small, not finite) are NaN. A None
in a map is a NaN: JSON, which has no NaN, writes null.
An array that is no map or image at all is a mistake of the caller and raises `ArrayError`.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import AnalysisError

Floats: TypeAlias = NDArray[np.float64]


class ArrayError(AnalysisError, ValueError):
    """An array has the wrong number of axes, the wrong shape or no numbers in it."""


def as_map(gate: ArrayLike) -> Floats:
    """Return one map as float64 of shape (H, W), the input left as it is.

    Raises
    ------
    ArrayError
        If `gate` is not a real-valued 2-D array.
    """
    return _as_floats(gate, ndim=2, expected="one 2-D map (H, W)")


def as_maps(maps: ArrayLike) -> Floats:
    """Return a stack of maps as float64 of shape (N, H, W), the input left as it is.

    No maps at all, an empty list too, are a stack of none.

    Raises
    ------
    ArrayError
        If `maps` is not a real-valued 3-D array, or its maps differ in size.
    """
    if isinstance(maps, Sequence) and len(maps) == 0:
        return np.empty((0, 0, 0))
    return _as_floats(maps, ndim=3, expected="a stack (N, H, W) of maps of one size")


def as_stack(maps: ArrayLike, *, axes: tuple[int, ...]) -> Floats:
    """Return maps of shape (..., H, W) as float64, the input left as it is.

    Parameters
    ----------
    maps : array of real numbers
    axes : tuple of int
        Numbers of axes that are taken, H and W included.

    Raises
    ------
    ArrayError
        If `maps` is not real-valued or has another number of axes, or its maps differ in size.
    """
    expected = f"maps of one size (..., H, W) with {' or '.join(map(str, axes))} axes"
    array = _as_array(maps, expected)
    ndim = array.ndim if array.ndim in axes else axes[0]
    return _as_floats(array, ndim=ndim, expected=expected)


def as_numbers(values: ArrayLike) -> Floats:
    """Return numbers of any shape as float64, the input left as it is.

    Raises
    ------
    ArrayError
        If `values` is not real-valued.
    """
    array = _as_array(values, "numbers")
    return _as_floats(array, ndim=array.ndim, expected="numbers")


def as_image(image: ArrayLike) -> NDArray[Any]:
    """Return an image of shape (H, W) or (H, W, C) as it is, if its values have a known scale.

    Raises
    ------
    ArrayError
        If the shape is another one, or the dtype is neither uint8 nor a float.
    """
    array = _as_array(image, "an image")
    if array.ndim not in (2, 3):
        raise ArrayError(f"expected an image (H, W) or (H, W, C), got shape {array.shape}")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ArrayError(
            f"expected an image of uint8 (0..255) or float (0..1), got {array.dtype}: convert it"
        )
    return array


def as_rgb(image: ArrayLike) -> NDArray[Any]:
    """Return an image as contiguous RGB of shape (H, W, 3), uint8 or float64.

    Grayscale of shape (H, W) or (H, W, 1) becomes three equal channels. The input is left as it
    is, and is returned itself where nothing has to change.

    Raises
    ------
    ArrayError
        If it is no image (see `as_image`) or has another number of channels.
    """
    array = as_image(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] not in (1, 3):
        raise ArrayError(
            f"expected an image (H, W, 3) in RGB or (H, W) in gray, got shape {array.shape}"
        )
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    dtype = np.uint8 if array.dtype == np.uint8 else np.float64
    return np.ascontiguousarray(array, dtype=dtype)


def as_labels(labels: ArrayLike) -> NDArray[Any]:
    """Return a label image of shape (H, W) as it is: integers, 0 = background.

    Raises
    ------
    ArrayError
        If it is not 2-D, its values are no integers (a bool mask has no labels), or one is
        negative.
    """
    array = _as_array(labels, "a label image")
    if array.ndim != 2:
        raise ArrayError(f"expected a label image (H, W), got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise ArrayError(f"expected integer labels, got {array.dtype}: label the mask first")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise ArrayError(f"expected labels from 0 up, got {array.min()}")
    return array


def _as_floats(value: ArrayLike, *, ndim: int, expected: str) -> Floats:
    array = _as_array(value, expected)
    if array.ndim != ndim:
        raise ArrayError(f"expected {expected}, got shape {array.shape}")
    if array.dtype.kind not in "biuf" and not _is_real_or_null(array):
        raise ArrayError(f"expected {expected} of real numbers, got dtype {array.dtype}")
    try:
        return array.astype(np.float64, copy=False)
    except OverflowError as error:
        raise ArrayError(f"expected {expected} of finite numbers: {error}") from error


def _is_real_or_null(array: NDArray[Any]) -> bool:
    return array.dtype == object and all(x is None or isinstance(x, Real) for x in array.flat)


def _as_array(value: ArrayLike, expected: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"expected {expected}, got something else: {error}") from error
