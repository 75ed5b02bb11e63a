"""Capture on a CPU: references now, copies and arithmetic later, on the sender thread."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainer.capture.held import (
    Kept,
    Placed,
    any_changed,
    is_part_of_large,
    keep,
    measure,
    without_large,
)
from trainer.capture.maps import reduce_map, to_numpy
from trainer.capture.meter import Meter
from trainer.capture.outputs import as_number, name_scalars
from trainer.capture.samples import name_samples
from trainer.capture.values import Facts, Images, Numbers, Watched, layers_that_ran
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

    def __init__(self, watched: Watched, clock: Callable[[], float] = time.monotonic) -> None:
        self.watched = watched
        self.clock = clock
        self.meter = Meter()
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
    """One step's tensors by reference; see `trainer.publish.contract.Capture`.

    The training thread makes it: it reads the numbers of tensors, which the next step may change,
    and notes where tensors lie. All else is left to the sender thread.

    Parameters
    ----------
    reader : CpuReader
        The same for all captures of a fit.
    images : Images
        Input and reconstruction.
    kept : list of Kept or None
        What watched modules returned.
    numbers : Numbers
        The step's own.
    logged : dict
        The user's scalars, as `trainer.capture.outputs.as_scalar` gives them; taken over.
    facts : Facts
        For the sender thread.
    """

    _kept: Sequence[Kept | None] = ()
    _placed: Sequence[Placed | None] = ()
    _arrays: FrameArrays | None = None
    _error: Exception | None = None
    _read_at_s: float | None = None
    _unmeasured = False
    _taken_over = False
    nbytes = 0

    def __init__(
        self,
        reader: CpuReader,
        images: Images,
        kept: list[Kept | None],
        numbers: Numbers,
        logged: dict[str, Any],
        facts: Facts,
    ) -> None:
        self._reader = reader
        self._facts = facts
        loss, mse, learning_rate = numbers
        self._numbers = as_number(loss), as_number(mse), as_number(learning_rate)
        self._logged = logged
        for name, value in logged.items():
            if value.__class__ is not float:
                logged[name] = as_number(value)
        clean, output = images
        if isinstance(clean, Tensor) and isinstance(output, Tensor):
            self._hold(clean, output, kept)

    def scalars_ready(self) -> bool:
        """Always: a CPU tensor's number is there."""
        self._take_over()
        return True

    def ready(self) -> bool:
        """Whether the copy is made, and old enough to tell whether it can be trusted."""
        self._take_over()
        self._reader.read_ahead()
        if not self._kept or self._error is not None:
            return True
        settle_s = SETTLE_S + self.nbytes * SETTLE_S_PER_BYTE
        return self._read_at_s is not None and self._reader.clock() - self._read_at_s >= settle_s

    def scalars(self) -> dict[str, float]:
        """The scalars, as they were at the step's end."""
        watched = self._reader.watched
        measured: dict[str, Any] = {**watched.times(self._facts[-1])}
        measured["memory_mb"] = watched.memory.value()
        return measured | name_scalars(self._numbers, self._logged)

    def frame(self) -> FrameArrays:
        """The copied arrays; raises `CaptureLost` if a tensor was written to meanwhile."""
        self.read()
        arrays, placed = self._arrays, self._placed
        if any_changed(placed):
            raise CaptureLost("changed_in_place")
        if self._error is not None:
            raise self._error
        if arrays is None or not placed:
            raise CaptureLost("queue_full")
        return arrays

    def drop_frame(self) -> None:
        """Let go of images and maps."""
        self._kept = self._placed = ()
        self._arrays = None

    @property
    def copied_bytes(self) -> int:
        """Bytes of the copies that it holds."""
        arrays = self._arrays
        return 0 if arrays is None else arrays.nbytes

    def read(self) -> None:
        """Copy what the frame needs (sender thread)."""
        placed = self._placed
        if not placed or self._read_at_s is not None:
            return
        try:
            self._arrays = None if any_changed(placed) else self._copy(placed)
        except Exception as error:
            self._error = error
        self._read_at_s = self._reader.clock()

    def _hold(self, clean: Tensor, output: Tensor, kept: list[Kept | None]) -> None:
        """Hold what the frame is made of (training thread)."""
        meter = self._reader.meter
        self.nbytes = 1  # a frame is offered, whatever becomes of it
        if meter.may_wait and self._facts[0].phase == "train":
            try:  # what `keep` does, without its calls and its question
                if clean.requires_grad:
                    clean = clean.detach()
                if output.requires_grad:
                    output = output.detach()
                self._kept = (*kept, (clean, clean._version), (output, output._version))
                self.nbytes = meter.nbytes
                meter.handed_over += 1
                self._unmeasured = True
                return
            except RuntimeError:
                pass  # made in inference mode: there is no version
        self._hold_carefully(clean, output, kept)

    def _hold_carefully(self, clean: Tensor, output: Tensor, kept: list[Kept | None]) -> None:
        """Measure at once, and copy what is better not placed (training thread)."""
        first = self._reader.watched.frame_samples
        try:
            images = keep(clean, first=first), keep(output, first=first)
            self._kept = without_large([*kept, *images], first=first)
            self._placed, self.nbytes = measure(self._kept)
        except Exception as error:  # the scalars still go; `frame` tells
            self._error = error

    def _take_over(self) -> None:
        """Have the frame read when its turn comes; measure it first (sender thread)."""
        if self._taken_over:
            return
        self._taken_over = True
        if self._unmeasured:
            self._measure()
        if self._placed:
            self._reader.meter.nbytes = self.nbytes
            self._reader.add(self)

    def _measure(self) -> None:
        meter, kept = self._reader.meter, self._kept
        try:
            if any(is_part_of_large(part[0]) for part in kept if part is not None):
                meter.large_seen = True
            self._placed, self.nbytes = measure(kept) if kept else ((), 1)
        except Exception as error:
            self._error = error
        meter.measured += 1

    def _copy(self, placed: Sequence[Placed | None]) -> FrameArrays:
        watched = self._reader.watched
        *parts, clean, output = [_first(part, watched.frame_samples) for part in placed]
        assert clean is not None
        assert output is not None
        maps: dict[bool, dict[str, NDArray[np.float32]]] = {False: {}, True: {}}
        for layer in layers_that_ran(watched.layers, parts):
            arrays = [array for i in layer.parts if (array := parts[i]) is not None]
            maps[layer.form == "activation"][layer.layer] = reduce_map(layer.form, arrays)
        images = as_uint8_images(clean), as_uint8_images(output)
        keys, loader_idx, fields, _ = self._facts
        samples = name_samples(keys, loader_idx, fields, len(images[0]))
        return FrameArrays(*images, samples, attention=maps[False], activation=maps[True])


def _first(part: Placed | None, count: int) -> NDArray[Any] | None:
    if part is None:
        return None
    return to_numpy(part[0])[:count]
