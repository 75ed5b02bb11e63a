"""Calls for workers, importable by name."""

import os
import signal
import sys
import time
from pathlib import Path


def add(left: int, right: int) -> int:
    return left + right


def fail() -> None:
    raise ValueError("on\npurpose")


def leave() -> None:
    sys.exit(3)


def sleep() -> None:
    time.sleep(3600)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: Path) -> str:
    """Is killed the first time, answers the second."""
    if marker.exists():
        return "alive"
    marker.touch()
    die()
    raise AssertionError


def mark_and_sleep(marker: Path) -> None:
    marker.write_text(str(os.getpid()))
    time.sleep(3600)


def unpicklable() -> object:
    return lambda: None


def length(payload: bytes) -> int:
    return len(payload)


def process_id() -> int:
    return os.getpid()


def threads() -> dict[str, object]:
    """What bounds the math threads of this process."""
    import cv2

    return {"omp": os.environ["OMP_NUM_THREADS"], "cv2": cv2.getNumThreads()}
