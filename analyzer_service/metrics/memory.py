"""Memory of this process and of those it started, without a look at any other process."""

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MOST: Final = 256


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process; None where the system does not tell."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def children_bytes(pid: int) -> int | None:
    """Resident memory of all descendants of a process together; None where it is not told.

    Pages that they share are counted for each.
    """
    found: dict[int, int] = {}
    waiting = _children(pid)
    if waiting is None:
        return None
    while waiting and len(found) < _MOST:
        child = waiting.pop()
        found[child] = resident_bytes(child) or 0
        waiting += [each for each in _children(child) or [] if each not in found]
    return sum(found.values())


def _children(pid: int) -> list[int] | None:
    """Those that each thread of the process has started, as the kernel lists them."""
    numbers: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            numbers += map(int, (thread / "children").read_text().split())
    except (OSError, ValueError):
        return None
    return numbers
