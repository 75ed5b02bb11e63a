"""Capture on a GPU: reduce there, copy on a stream of its own, read when the event is done.

Nothing here waits for the device. Order on the training thread: reductions are queued on the
current stream; the copy stream waits for them (on the device); copies into pinned memory are
queued on the copy stream, then an event. The sender thread asks the event, and only then reads.
"""

import threading
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.messages import DropReason
from trainer.capture.device_events import EventPool, is_done
from trainer.capture.device_maps import device_images, device_map
from trainer.capture.numbers import NUMBER_SLOT_BYTES, Copy, DeviceNumbers
from trainer.capture.settings import CaptureSettings
from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import StepValues
from trainer.publish.contract import CaptureLost, FrameArrays

_ALIGNMENT: Final = 64
# More than the inbox takes by default: as good as never is there no slot for a step's numbers.
_NUMBER_SLOTS: Final = 1 << 16
NUMBER_SLAB_BYTES: Final = 1 << 20

Group = Literal["images", "attention", "activation"]
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
        self._events = EventPool(timing=False)
        self.frames = SlotPool(
            pin,
            count=settings.slot_count,
            total_bytes=settings.pinned_bytes,
            give_back=self._events.give_back,
        )
        self.numbers = SlotPool(
            pin,
            count=_NUMBER_SLOTS,
            total_bytes=_NUMBER_SLOTS * NUMBER_SLOT_BYTES,
            slab_bytes=NUMBER_SLAB_BYTES,
            give_back=self._events.give_back,
        )
        self.numbers.reserve(NUMBER_SLOT_BYTES)
        if settings.frame_bytes is not None:
            self.frames.reserve(settings.frame_bytes)

    def capture(self, values: StepValues) -> "CudaCapture":
        """Queue the copies of one step (training thread)."""
        with torch.cuda.device(self._device), torch.no_grad():
            captured = CudaCapture(values, self._device, frames=self.frames, numbers=self.numbers)
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            captured.send(self._copy)
            return captured

    def _copy(self, slot: Slot, tensors: list[Tensor]) -> None:
        # The slot keeps the sources until its event is done: their memory must not be given
        # to another kernel of the current stream while the copy stream still reads it.
        slot.sources = tensors
        with torch.cuda.stream(self._stream):
            for region, tensor in zip(lay_out(tensors)[0], tensors, strict=True):
                region.of(slot.buffer).copy_(tensor, non_blocking=True)
        slot.event = self._events.record(self._stream)


class CudaCapture:
    """One step's copies under way; see `trainer.publish.contract.Capture`.

    Making one queues the reductions, `send` the copies.
    """

    def __init__(
        self, values: StepValues, device: torch.device, *, frames: SlotPool, numbers: SlotPool
    ) -> None:
        self._samples = values.samples
        self._pool = frames
        self._lock = threading.Lock()
        self._regions: dict[tuple[Group, str], _Region] = {}
        self._slot: Slot | None = None
        self._lost: DropReason | None = None
        self._error: Exception | None = None
        self._reduced: list[Tensor] = []
        self.nbytes = 0
        self._numbers = DeviceNumbers(values.scalars, device, numbers)
        if values.input is not None and values.reconstruction is not None:
            try:
                self._reduce(values)
            except Exception as error:  # the scalars still go; `frame` tells
                self._error = error

    def send(self, copy: Copy) -> None:
        """Queue the copies of the numbers and of the frame, by ``copy(slot, tensors)``."""
        self._numbers.send(copy)
        reduced, self._reduced = self._reduced, []
        if not reduced:
            return
        try:
            self._slot = self._pool.acquire(self.nbytes)
            if self._slot is None:
                self._lost = "no_slot"
            else:
                copy(self._slot, reduced)
        except Exception as error:
            self._error = error

    def scalars_ready(self) -> bool:
        """Whether the copy of the scalars is done."""
        return self._numbers.ready()

    def ready(self) -> bool:
        """Whether the copy of the frame is done."""
        slot = self._slot
        event = None if slot is None else slot.event
        return event is None or is_done(event)

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
        clean, output = arrays["images", ""]
        return FrameArrays(
            input=clean,
            reconstruction=output,
            samples=self._samples(len(clean)),
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

    def __del__(self) -> None:
        if getattr(self, "_slot", None) is not None:  # nobody took the step over
            self.drop_frame()

    def _copy_out(self) -> dict[tuple[Group, str], NDArray[Any]]:
        with self._lock:
            slot = self._slot
            if slot is None:
                raise CaptureLost("queue_full")
            return {
                key: region.of(slot.buffer).numpy().copy() for key, region in self._regions.items()
            }

    def _reduce(self, values: StepValues) -> None:
        self.nbytes = 1
        if any(held.changed for layer in values.maps for held in layer.held):
            self._lost = "changed_in_place"
            return
        reduced = reduce_step(values)
        self._reduced = list(reduced.values())
        regions, self.nbytes = lay_out(self._reduced)
        self._regions = dict(zip(reduced, regions, strict=True))


def reduce_step(values: StepValues) -> Reduced:
    """What a frame needs of a step, on the step's device, by group and name."""
    first = values.frame_samples
    assert values.input is not None
    assert values.reconstruction is not None
    _keep_for_this_stream(values)
    reduced: Reduced = {
        ("images", ""): device_images(values.input, values.reconstruction, first=first)
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


def pin(nbytes: int) -> Tensor:
    """A flat uint8 buffer in pinned memory."""
    # Validation runs in inference mode: a buffer made there could not be written to in training.
    with torch.inference_mode(False):
        return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)


def _keep_for_this_stream(values: StepValues) -> None:
    """Tell the allocator that the current stream reads the tensors, wherever they were made.

    A tensor of another stream (a prefetcher's, say) may be let go by its owner as soon as the
    reductions are queued. For one of the current stream this does nothing.
    """
    images = (values.input, values.reconstruction)
    held = [part.tensor for layer in values.maps for part in layer.held]
    for tensor in (*images, *held):
        if tensor is not None and tensor.is_cuda:
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
