"""What a training thread spends in our code, and how much memory its process takes."""

import os
import resource
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

MIB = 1 << 20
_WARM_UP = 10


class HandoffTimes:
    """Durations of calls on this thread: by the clock, and by the processor."""

    def __init__(self) -> None:
        # Bare numbers: in a soak of 120,000 calls, lists would look like a leak.
        self._wall_ms = array("d")
        self._cpu_ms = array("d")

    def run(self, call: Callable[[], None]) -> None:
        """Make a call and note how long it took."""
        wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        call()
        self._cpu_ms.append((time.thread_time_ns() - cpu_ns) / 1e6)
        self._wall_ms.append((time.perf_counter_ns() - wall_ns) / 1e6)

    def summary(self) -> dict[str, float]:
        """Median, 99th percentile and longest; the first calls, which import, are left out."""
        wall, cpu = self._wall_ms[_WARM_UP:], self._cpu_ms[_WARM_UP:]
        if not wall:
            return {}
        return {
            "median_ms": float(np.median(wall)),
            "p99_ms": float(np.percentile(wall, 99)),
            "longest_ms": max(wall),
            "longest_cpu_ms": max(cpu),
        }


class MemoryGrowth:
    """Resident memory of this process, from its making on."""

    def __init__(self) -> None:
        self._before = _status_bytes("VmRSS")
        # A process begins with the peak of the one that started it: forget that.
        Path("/proc/self/clear_refs").write_text("5")

    def summary(self) -> dict[str, float]:
        """MiB that the peak lies above the beginning, and open files."""
        return {
            "grown_mib": (_status_bytes("VmHWM") - self._before) / MIB,
            "files": float(len(list(Path("/proc/self/fd").iterdir()))),
            "cpu_s": resource.getrusage(resource.RUSAGE_SELF).ru_utime,
        }


def peak_mib(pid: int) -> float:
    """Largest resident memory that a living process has had."""
    return _status_bytes("VmHWM", pid) / MIB


def resident_mib(pid: int) -> float:
    """Resident memory of a living process."""
    return _status_bytes("VmRSS", pid) / MIB


def held_mib(pid: int) -> float:
    """Memory that a living process holds: its own, and files of memory that it has open.

    Of the latter a process that maps one has nothing itself.
    """
    own = _status_bytes("VmRSS", pid) - _status_bytes("RssShmem", pid)
    return (own + sum(_files(pid, of_memory=True))) / MIB


def open_files(pid: int) -> int:
    """Open files, sockets and the like of a living process; files of memory come and go."""
    return len(_files(pid, of_memory=False))


def _files(pid: int, *, of_memory: bool) -> list[int]:
    """Sizes of the open files of one kind or the other."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if os.readlink(file).startswith("/memfd:") == of_memory:
                found.append(file.stat().st_size)
    return found


def _status_bytes(name: str, pid: Any = "self") -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
