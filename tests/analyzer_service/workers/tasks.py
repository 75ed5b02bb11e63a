"""Calls for workers, importable by name."""

import errno
import os
import signal
import sys
import time
import zlib
from pathlib import Path


def add(left: int, right: int) -> int:
    return left + right


def fail() -> None:
    raise ValueError("on\npurpose")


def fill_disk() -> None:
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise RuntimeError("cannot write") from error


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


def checksum(payload: memoryview) -> int:
    return zlib.crc32(payload)


def is_read_only(payload: memoryview) -> bool:
    return payload.readonly


def checksum_on_second_try(payload: memoryview, marker: Path) -> int:
    """Reads half of it, says who it is and waits to be killed; answers the second time."""
    if marker.exists():
        return zlib.crc32(payload)
    zlib.crc32(payload[: len(payload) // 2])
    mark_and_sleep(marker)
    raise AssertionError


def fail_with(payload: memoryview) -> None:
    raise ValueError(f"refused {len(payload)} bytes")


def sleep_with(payload: memoryview) -> None:
    time.sleep(3600)


def sleep_with_marked(payload: memoryview, marker: Path) -> None:
    mark_and_sleep(marker)


def die_with(payload: memoryview) -> None:
    die()


_kept: list[memoryview] = []


def keep(payload: memoryview) -> None:
    """Holds on to what it was only lent."""
    _kept.append(payload)


def checksums_of_kept() -> list[int]:
    return [zlib.crc32(payload) for payload in _kept]


def memory_files() -> list[str]:
    return open_memory_files("self")


def open_memory_files(process: int | str) -> list[str]:
    """Memory files that a process has open or mapped."""
    folder = Path(f"/proc/{process}")
    mapped = (folder / "maps").read_text().splitlines()
    opened = [os.readlink(path) for path in (folder / "fd").iterdir() if path.is_symlink()]
    return [name for name in (*mapped, *opened) if "memfd:sidelight" in name]
