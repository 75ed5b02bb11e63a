"""A small disk of its own, which can be filled and freed again: a tmpfs of a few MiB.

Mounting takes a privilege. Where the tests do not have it, a user namespace gives it to one test
at a time: that test is run again inside (`run_inside`).
"""

import functools
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.processes.commands import LIMIT_S, ROOT

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


class SmallDisk:
    """Mounted by `mount`; everything on it is gone after `unmount`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self._wanted_full = threading.Event()
        self._thread: threading.Thread | None = None

    def mount(self, mib: int) -> None:
        """Make it a disk of so many MiB."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def resize(self, mib: int) -> None:
        """Make it larger, or smaller."""
        command = ["mount", "-o", f"remount,size={mib}m", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def unmount(self) -> None:
        """Take it away, whoever still uses it."""
        if self._thread is not None:
            self.free()
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def fill(self) -> None:
        """Fill it up, and take whatever anyone gives back, until `free`."""
        self._wanted_full.set()
        self._write()
        self._thread = threading.Thread(target=self._stay_full, daemon=True)
        self._thread.start()

    def free(self) -> None:
        """Make room again."""
        assert self._thread is not None, "it was to be full"
        self._wanted_full.clear()
        self._thread.join()
        self._thread = None
        self._filler.unlink()

    def _stay_full(self) -> None:
        while self._wanted_full.is_set():
            self._write()
            time.sleep(0.005)

    def _write(self) -> None:
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass


@functools.cache
def may_mount() -> bool:
    """Whether this process may mount."""
    return _succeeds("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/tmp")


@functools.cache
def has_namespaces() -> bool:
    """Whether a user namespace would let it."""
    return _succeeds(*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/tmp")


def run_inside(test: str) -> None:
    """Run one test, named as pytest names it, in a user namespace that may mount."""
    command = [*_NAMESPACE, sys.executable, "-m", "pytest", "-q", "-m", "", test]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
