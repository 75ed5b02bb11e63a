"""Capture on a GPU: reduce there, copy on a stream of its own, read when the event is done.

Nothing here waits for the device. Order on the training thread: reductions are queued on the
current stream; the copy stream waits for them (on the device); copies into pinned memory are
queued on the copy stream, then an event. The sender thread asks the event, and only then reads.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.messages import DropReason
from trainer.capture.device_maps import device_images, device_map
from trainer.capture.numbers import SLOT_BYTES, DeviceNumbers
from trainer.capture.settings import CaptureSettings
from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import StepValues
from trainer.publish.contract import CaptureLost, FrameArrays

_ALIGNMENT: Final = 64
_NUMBER_SLOTS: Final = 1 << 16

Group = Literal["image", "attention", "activation"]
Reduced = dict[tuple[Group, str], Tensor]


@dataclass(frozen=True, slots=True)
class _Region:
    """Where one array lies in a slot."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    def of(self, buffer: Tensor) -> Tensor:
        nbytes = prod(self.shape) * self.dtype.itemsize
        flat = buffer[self.offset : self.offset + nbytes]
        return flat.view(self.dtype).view(self.shape)


class CudaCapturer:
    """Copy stream and pinned slots of one device.

    Parameters
    ----------
    device : torch.device
        Where the step's tensors are.
    settings : CaptureSettings
        Bounds of pinned memory.
    """

    def __init__(self, device: torch.device, settings: CaptureSettings) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device=device)  # type: ignore[no-untyped-call]
        self.frames = SlotPool(
            _pinned, count=settings.slot_count, total_bytes=settings.pinned_bytes
        )
        # Scalars are never dropped, so their slots (4 KiB each) grow with the sender's lag.
        self.numbers = SlotPool(
            _pinned, count=_NUMBER_SLOTS, total_bytes=_NUMBER_SLOTS * SLOT_BYTES
        )

    def capture(self, values: StepValues) -> "CudaCapture":
        """Queue the copies of one step (training thread)."""
        with torch.cuda.device(self._device), torch.no_grad():
            numbers = DeviceNumbers(values.scalars, self._send_numbers, self.numbers)
            return CudaCapture(values, numbers, self._send_frame, self.frames)

    def _send_frame(self, tensors: list[Tensor], nbytes: int) -> Slot | None:
        return self._send(self.frames, tensors, nbytes)

    def _send_numbers(self, tensors: list[Tensor], nbytes: int) -> Slot | None:
        return self._send(self.numbers, tensors, nbytes)

    def _send(self, pool: SlotPool, tensors: list[Tensor], nbytes: int) -> Slot | None:
        slot = pool.acquire(nbytes)
        if slot is None:
            return None
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        # The slot keeps the sources until its event is done: their memory must not be given
        # to another kernel of the current stream while the copy stream still reads it.
        slot.sources = tensors
        with torch.cuda.stream(self._stream):
            for region, tensor in zip(lay_out(tensors)[0], tensors, strict=True):
                region.of(slot.buffer).copy_(tensor, non_blocking=True)
            event.record(self._stream)
        slot.event = event
        return slot


class CudaCapture:
    """One step's copies under way; see `trainer.publish.contract.Capture`."""

    def __init__(
        self,
        values: StepValues,
        numbers: DeviceNumbers,
        send: Callable[[list[Tensor], int], Slot | None],
        pool: SlotPool,
    ) -> None:
        self._numbers = numbers
        self._samples = values.samples
        self._pool = pool
        self._lock = threading.Lock()
        self._regions: dict[tuple[Group, str], _Region] = {}
        self._slot: Slot | None = None
        self._lost: DropReason | None = None
        self._error: Exception | None = None
        self.nbytes = 0
        if values.input is not None and values.reconstruction is not None:
            try:
                self._queue(values, send)
            except Exception as error:  # the scalars still go; `frame` tells
                self._error = error

    def scalars_ready(self) -> bool:
        """Whether the copy of the scalars is done."""
        return self._numbers.ready()

    def ready(self) -> bool:
        """Whether the copy of the frame is done."""
        slot = self._slot
        return slot is None or slot.event is None or slot.event.query()

    def scalars(self) -> dict[str, float]:
        """The scalars; to be called once."""
        return self._numbers.read()

    def frame(self) -> FrameArrays:
        """Arrays in memory of their own; raises `CaptureLost` when there was no copy."""
        if self._lost is not None:
            raise CaptureLost(self._lost)
        if self._error is not None:
            raise self._error
        arrays = self._copy_out()
        images = {name: array for (group, name), array in arrays.items() if group == "image"}
        return FrameArrays(
            input=images["input"],
            reconstruction=images["reconstruction"],
            samples=self._samples(len(images["input"])),
            attention={n: array for (group, n), array in arrays.items() if group == "attention"},
            activation={n: array for (group, n), array in arrays.items() if group == "activation"},
        )

    def drop_frame(self) -> None:
        """Give the slot back; it is used again only after its copy is done.

        While the sender thread reads the slot, this leaves it alone: that thread calls this
        itself when it has read.
        """
        if self._lock.acquire(blocking=False):
            try:
                slot, self._slot = self._slot, None
                if slot is not None:
                    self._pool.release(slot)
            finally:
                self._lock.release()

    def _copy_out(self) -> dict[tuple[Group, str], NDArray[Any]]:
        with self._lock:
            slot = self._slot
            if slot is None:
                raise CaptureLost("queue_full")
            return {
                key: region.of(slot.buffer).numpy().copy() for key, region in self._regions.items()
            }

    def _queue(self, values: StepValues, send: Callable[[list[Tensor], int], Slot | None]) -> None:
        self.nbytes = 1
        if any(held.changed for layer in values.maps for held in layer.held):
            self._lost = "changed_in_place"
            return
        reduced = reduce_step(values)
        tensors = list(reduced.values())
        regions, self.nbytes = lay_out(tensors)
        self._regions = dict(zip(reduced, regions, strict=True))
        self._slot = send(tensors, self.nbytes)
        self._lost = "no_slot" if self._slot is None else None


def reduce_step(values: StepValues) -> Reduced:
    """What a frame needs of a step, on the step's device, by group and name."""
    first = values.frame_samples
    assert values.input is not None
    assert values.reconstruction is not None
    reduced: Reduced = {
        ("image", "input"): device_images(values.input, first=first),
        ("image", "reconstruction"): device_images(values.reconstruction, first=first),
    }
    for layer in values.maps:
        group: Group = "activation" if layer.form == "activation" else "attention"
        tensors = tuple(held.tensor for held in layer.held)
        reduced[group, layer.layer] = device_map(layer.form, tensors, first=first)
    return reduced


def lay_out(tensors: list[Tensor]) -> tuple[list[_Region], int]:
    """Regions for `tensors` one behind the other, aligned, and the bytes that they take."""
    regions: list[_Region] = []
    end = 0
    for tensor in tensors:
        regions.append(_Region(end, tuple(tensor.shape), tensor.dtype))
        end += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    return regions, end


def _pinned(nbytes: int) -> Tensor:
    return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
