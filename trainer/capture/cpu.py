"""Capture on a CPU: references now, copies and arithmetic later, on the sender thread."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray
from torch import Tensor

from trainer.capture.held import Held, hold
from trainer.capture.maps import reduce_map, to_numpy
from trainer.capture.values import Scalar, StepValues
from trainer.publish.arrays import as_uint8_images
from trainer.publish.contract import CaptureLost, FrameArrays

SETTLE_S: Final = 0.05
SETTLE_S_PER_BYTE: Final = 4 / (1 << 30)
"""How long after copying the versions are looked at again.

An in-place operation raises the version as it ends, so one that was writing while the copy was
made shows only then. Large tensors take longer to write: a quarter of a GiB a second is slow
even for random numbers on a busy core.
"""
_READ_AHEAD_S: Final = 0.005
READ_AHEAD_BYTES: Final = 32 << 20
"""Copies that may settle at the same time, besides the references that the inbox counts."""


class CpuReader:
    """Copies captures ahead of their turn, so that all settle at the same time (sender thread)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._unread: deque[CpuCapture] = deque()
        self._settling: deque[tuple[CpuCapture, int]] = deque()
        self._settling_bytes = 0

    def add(self, capture: "CpuCapture") -> None:
        """Note a capture that has a frame to be read; the sender has taken it over."""
        self._unread.append(capture)

    def read_ahead(self) -> None:
        """Read waiting captures, oldest first, for a few milliseconds and `READ_AHEAD_BYTES`."""
        until_s = time.monotonic() + _READ_AHEAD_S
        self._forget_settled()
        while self._unread and self._settling_bytes < READ_AHEAD_BYTES:
            capture = self._unread.popleft()
            capture.read()
            self._settling.append((capture, capture.copied_bytes))
            self._settling_bytes += capture.copied_bytes
            if time.monotonic() >= until_s:
                return

    def _forget_settled(self) -> None:
        while self._settling and not self._settling[0][0].copied_bytes:
            self._settling_bytes -= self._settling.popleft()[1]


class CpuCapture:
    """One step's tensors by reference; see `trainer.publish.contract.Capture`."""

    def __init__(self, values: StepValues, reader: CpuReader) -> None:
        self._scalars = {name: _number(scalar) for name, scalar in values.scalars.items()}
        self._reader = reader
        self._source: _Source | None = None
        self._arrays: FrameArrays | None = None
        self._error: Exception | None = None
        self._read_at_s: float | None = None
        self._noted = False
        self.nbytes = 0
        if values.input is not None and values.reconstruction is not None:
            self._hold(values, values.input, values.reconstruction)

    def scalars_ready(self) -> bool:
        """Always: a CPU tensor's number is there."""
        self._note()
        return True

    def ready(self) -> bool:
        """Whether the copy is made, and old enough to tell whether it can be trusted."""
        self._note()
        self._reader.read_ahead()
        if self._source is None or self._error is not None:
            return True
        settle_s = SETTLE_S + self.nbytes * SETTLE_S_PER_BYTE
        return self._read_at_s is not None and self._reader.clock() - self._read_at_s >= settle_s

    def scalars(self) -> dict[str, float]:
        """The scalars, as they were at the step's end."""
        return self._scalars

    def frame(self) -> FrameArrays:
        """The copied arrays; raises `CaptureLost` if a tensor was written to meanwhile."""
        self.read()
        source, arrays = self._source, self._arrays
        if source is not None and source.changed:
            raise CaptureLost("changed_in_place")
        if self._error is not None:
            raise self._error
        if source is None or arrays is None:
            raise CaptureLost("queue_full")
        return arrays

    def drop_frame(self) -> None:
        """Let go of images and maps."""
        self._source = None
        self._arrays = None

    @property
    def copied_bytes(self) -> int:
        """Bytes of the copies that it holds."""
        arrays = self._arrays
        return 0 if arrays is None else arrays.nbytes

    def read(self) -> None:
        """Copy what the frame needs (sender thread)."""
        source = self._source
        if source is None or self._read_at_s is not None:
            return
        try:
            self._arrays = None if source.changed else source.read()
        except Exception as error:
            self._error = error
        self._read_at_s = self._reader.clock()

    def _note(self) -> None:
        if not self._noted and self._source is not None:
            self._noted = True
            self._reader.add(self)

    def _hold(self, values: StepValues, clean: Tensor, output: Tensor) -> None:
        self.nbytes = 1
        try:
            self._source = _Source(values, clean, output)
        except Exception as error:  # the scalars still go; `frame` tells
            self._error = error
            return
        self.nbytes = self._source.nbytes


class _Source:
    """References to everything that one frame is made of."""

    def __init__(self, values: StepValues, clean: Tensor, output: Tensor) -> None:
        self._values = values
        first = values.frame_samples
        self._images = (hold(clean, first=first), hold(output, first=first))
        self._held = [*self._images]
        for layer in values.maps:
            self._held += layer.held
        # Storages that two tensors share are counted once.
        alive = {held.address: held.nbytes for held in self._held}
        self.nbytes = max(1, sum(alive.values()))

    @property
    def changed(self) -> bool:
        return any(part.changed for part in self._held)

    def read(self) -> FrameArrays:
        values = self._values
        clean, output = (as_uint8_images(self._first(image)) for image in self._images)
        maps = {
            layer.layer: reduce_map(layer.form, [self._first(part) for part in layer.held])
            for layer in values.maps
        }
        activations = {layer.layer for layer in values.maps if layer.form == "activation"}
        return FrameArrays(
            input=clean,
            reconstruction=output,
            samples=values.samples(len(clean)),
            attention={name: array for name, array in maps.items() if name not in activations},
            activation={name: array for name, array in maps.items() if name in activations},
        )

    def _first(self, held: Held) -> NDArray[Any]:
        return to_numpy(held.tensor)[: self._values.frame_samples]


def _number(scalar: Scalar) -> float:
    if isinstance(scalar, (int, float)):
        return float(scalar)
    if not isinstance(scalar, Tensor):
        return scalar.value()
    # Reading a CPU tensor's one number is a memory access: nothing waits. Unlike `item`, `tolist`
    # keeps the interpreter's lock, which the sender thread may be waiting for.
    value: Any = scalar.tolist()
    while isinstance(value, list):
        value = value[0]
    return float(value)
