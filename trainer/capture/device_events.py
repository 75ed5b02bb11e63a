"""Events of a device: used again, and asked without waiting and without disturbing anyone."""

import ctypes
import threading
from collections import deque
from typing import Any, Final, Protocol

import torch

_THREAD_LOCAL: Final = 1
_thread = threading.local()


class Event(Protocol):
    """What is needed of ``torch.cuda.Event``."""

    def query(self) -> bool:
        """Whether the device got there; does not wait."""
        ...


class EventPool:
    """Events of one device: making one takes a lock of the driver, recording it again does not.

    Any thread may give back; `record` is for the training thread.

    Parameters
    ----------
    timing : bool
        Whether times are measured between them.
    """

    def __init__(self, *, timing: bool) -> None:
        self._timing = timing
        self._free: deque[torch.cuda.Event] = deque()

    def record(self, stream: torch.cuda.Stream) -> torch.cuda.Event:
        """An event behind what is queued on `stream` now."""
        try:
            event = self._free.pop()
        except IndexError:
            event = torch.cuda.Event(enable_timing=self._timing)  # type: ignore[no-untyped-call]
        event.record(stream)
        return event

    def give_back(self, event: Any) -> None:
        """Take an event of this pool that nobody asks any more."""
        self._free.append(event)


def is_done(event: Event) -> bool:
    """Whether `event` is done, asked on the sender thread.

    While a CUDA graph is captured, a question from another thread makes the capture fail, unless
    that thread has said that other threads' captures are none of its concern; so this one does.
    """
    if not getattr(_thread, "ignores_captures", False):
        _thread.ignores_captures = True
        ignore_captures_of_others()
    return bool(event.query())


def ignore_captures_of_others() -> bool:
    """Set this thread's capture mode to thread-local; False where there is no such driver.

    PyTorch does the same in its own threads that ask for events (``CUDAStreamCaptureModeGuard``),
    but has no function for it in Python.
    """
    try:
        driver: Any = ctypes.CDLL("libcuda.so.1")
        mode = ctypes.c_int(_THREAD_LOCAL)
        return int(driver.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))) == 0
    except (OSError, AttributeError):
        return False
