"""A capture of plain arrays, copied at once: for training loops without Lightning."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.messages import Sample
from trainer.publish.contract import BatchKeys, CaptureLost, FrameArrays


class ArrayCapture:
    """Values that nobody else holds; see `trainer.publish.contract.Capture`.

    Parameters
    ----------
    scalars : dict
        By name.
    arrays : FrameArrays, Exception or None
        The frame, or why it could not be made; None where none is offered.
    """

    def __init__(self, scalars: dict[str, float], arrays: FrameArrays | Exception | None) -> None:
        self._scalars = scalars
        self._arrays = arrays
        self._nbytes = 0
        if arrays is not None:  # a frame is offered, whatever becomes of it
            self._nbytes = arrays.nbytes if isinstance(arrays, FrameArrays) else 1

    @property
    def nbytes(self) -> int:
        """Bytes of images and maps."""
        return self._nbytes

    def scalars_ready(self) -> bool:
        """Always: the values are here."""
        return True

    def ready(self) -> bool:
        """Always: the values are here."""
        return True

    def scalars(self) -> dict[str, float]:
        """The scalars as given."""
        return self._scalars

    def frame(self) -> FrameArrays:
        """The copied arrays; raises what kept them from being made."""
        arrays = self._arrays
        if arrays is None:
            raise CaptureLost("queue_full")
        if isinstance(arrays, Exception):
            raise arrays
        return arrays

    def drop_frame(self) -> None:
        """Let go of the arrays."""
        self._arrays = None


def capture_arrays(
    keys: BatchKeys,
    scalars: Mapping[str, Any],
    *,
    images: tuple[Any, Any],
    attention: Mapping[str, Any],
    samples: tuple[Sample, ...] | None,
    most: int,
) -> ArrayCapture:
    """Copy the first `most` samples of a batch; what is wrong with them costs the frame only.

    Raises
    ------
    TypeError, ValueError
        If a scalar is no number.
    """
    numbers = {
        name: float(value.detach() if hasattr(value, "detach") else value)
        for name, value in scalars.items()
        if value is not None
    }
    if any(image is None for image in images):
        return ArrayCapture(numbers, None)
    try:
        clean, output = (as_uint8_images(_to_numpy(image[:most])) for image in images)
        maps = {
            layer: np.array(_to_numpy(gate[:most]), dtype=np.float32)
            for layer, gate in attention.items()
        }
    except Exception as error:
        return ArrayCapture(numbers, error)
    count = len(clean)
    named = samples[:count] if samples else _stable_samples(keys, count)
    return ArrayCapture(numbers, FrameArrays(clean, output, named, maps))


def as_uint8_images(images: NDArray[Any]) -> NDArray[np.uint8]:
    """A new array of shape (N, H, W, 3), uint8, of images in any of the usual forms.

    Floats are taken as [0, 1] and clipped (NaN becomes 0); gray images are repeated to three
    channels.
    """
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W) or (N, H, W, C), got {images.shape}")
    if images.shape[-1] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape}")
    shown = np.empty((len(images), *images.shape[2:], 3), np.uint8)
    for image, pixels in zip(images, shown, strict=True):
        planes = image if image.dtype == np.uint8 else _as_uint8(image)
        for channel in range(3):
            pixels[..., channel] = planes[channel % len(planes)]
    return shown


def _as_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    # An image at a time stays in the cache, and in place: ten times as fast as whole batches.
    scaled: NDArray[np.float32] = np.multiply(
        image, np.float32(255), dtype=np.float32, casting="unsafe"
    )
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    undefined = np.isnan(scaled)
    if undefined.any():
        scaled[undefined] = 0
    return scaled.astype(np.uint8)


def _to_numpy(value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _stable_samples(keys: BatchKeys, count: int) -> tuple[Sample, ...]:
    return tuple(Sample(id=f"{keys.phase}/{keys.batch_idx}/{i}") for i in range(count))
