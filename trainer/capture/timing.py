"""How long a step took: host clocks on a CPU, events on a GPU, read later."""

import time
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from trainer.capture.device_events import EventPool, is_done
from trainer.capture.uncompiled import kept_out, skipped
from trainer.capture.values import Marks, Reading, Scalar


class Clock(Protocol):
    """Marks points in time on the training thread; waits for nothing."""

    def mark(self) -> Any:
        """Now, in the order of the queued work; None where that cannot be told."""
        ...

    def between(self, start: Any, end: Any) -> Scalar:
        """Milliseconds between two marks, now or later."""
        ...


class HostClock:
    """Marks on the host's clock, in seconds."""

    mark = staticmethod(time.perf_counter)

    def between(self, start: float, end: float) -> float:
        """Milliseconds from `start` to `end`."""
        return (end - start) * 1000


class CudaClock:
    """Marks in the current stream of a device: events."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events = EventPool(timing=True)

    def mark(self) -> torch.cuda.Event | None:
        """An event, recorded; None within a graph's capture, which would take it for its own."""
        if torch.cuda.is_current_stream_capturing():
            return None
        return self._events.record(torch.cuda.current_stream(self._device))

    def between(self, start: torch.cuda.Event, end: torch.cuda.Event) -> Reading:
        """Time between two events; ready when the device has passed both, whatever streams."""
        return _EventSpan(start, end, self._events)


class _EventSpan:
    def __init__(self, start: torch.cuda.Event, end: torch.cuda.Event, events: EventPool) -> None:
        self._start = start
        self._end = end
        self._events = events

    def ready(self) -> bool:
        return is_done(self._end) and is_done(self._start)

    def value(self) -> float:
        # On two streams the end may come first.
        elapsed_ms = max(0.0, float(self._start.elapsed_time(self._end)))
        for event in (self._start, self._end):
            self._events.give_back(event)
        return elapsed_ms


def clock_for(device: torch.device) -> Clock:
    """Clock of the device that the step runs on."""
    return CudaClock(device) if device.type == "cuda" else HostClock()


class StepTimer:
    """Times the steps of one model.

    `inference_time_ms` spans the forward calls of the model before the backward pass: of the
    module itself when the step calls it, else of its children that have parameters.
    `data_time_ms` is the host's time from the last batch's end to this one's start.

    Attributes
    ----------
    idle_since_s : float
        When the loop began to wait for the next batch (`time.perf_counter`).
    frozen : bool
        Set when what runs is no forward pass any more (checkpointing runs layers again).
    """

    def __init__(self, model: nn.Module, clock: Clock) -> None:
        self._model = model
        self._clock = clock
        self._mark = clock.mark
        self._mark_in_pass = clock.mark if isinstance(clock, HostClock) else kept_out(clock.mark)
        self._depth = 0
        self._began: Any = None
        self._entered: Any = None
        self._left: Any = None
        self._data_s: float | None = None
        self.idle_since_s = time.perf_counter()
        self.frozen = False
        children = [part for part in model.children() if any(True for _ in part.parameters())]
        self._handles: dict[nn.Module, list[RemovableHandle]] = {
            part: self._watch(part) for part in (model, *children)
        }
        self._only_the_model = not children

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the model (an averaged one, one for a worker) is not timed.
        return StepTimer, (nn.Identity(), HostClock())

    def batch_started(self) -> None:
        """Say that a batch is there and its step begins."""
        self._data_s = time.perf_counter() - self.idle_since_s
        self._entered = self._left = None
        self._depth = 0
        self.frozen = False
        self._began = self._mark()

    def marks(self, *, training: bool) -> Marks:
        """Marks of the step, which ends now; validation has no training time."""
        ended = self._mark() if training else None
        return self._began, ended, self._entered, self._left, self._data_s

    def times(self, marks: Marks) -> dict[str, Scalar]:
        """Times of a step by name; what was not seen is left out (any thread)."""
        began, ended, entered, left, data_s = marks
        times: dict[str, Scalar] = {}
        if began is not None and ended is not None:
            times["training_time_ms"] = self._clock.between(began, ended)
        if entered is not None and left is not None:
            times["inference_time_ms"] = self._clock.between(entered, left)
        if data_s is not None:
            times["data_time_ms"] = 1000 * data_s
        return times

    def remove(self) -> None:
        """Take the hooks away."""
        for handles in self._handles.values():
            for handle in handles:
                handle.remove()
        self._handles = {}

    def _watch(self, module: nn.Module) -> list[RemovableHandle]:
        return [
            module.register_forward_pre_hook(self._enter),
            module.register_forward_hook(self._leave),
        ]

    @skipped  # a clock is no constant
    def _enter(self, module: nn.Module, _args: Any) -> None:
        if not self._only_the_model and module is self._model:
            self._watch_only_the_model()
        if self._depth == 0 and self._entered is None and not self.frozen:
            self._entered = self._mark_in_pass()
        self._depth += 1

    @skipped
    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._depth -= 1
        if self._depth <= 0:
            self._depth = 0
            if self._entered is not None and not self.frozen:
                self._left = self._mark_in_pass()

    @kept_out
    def _watch_only_the_model(self) -> None:
        self._only_the_model = True
        for part in [part for part in self._handles if part is not self._model]:
            for handle in self._handles.pop(part):
                handle.remove()
