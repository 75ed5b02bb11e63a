"""Memory that worker processes map: written once, not copied again on its way to them.

A memory file has no name. It vanishes with the last process that holds it, so one that is killed
at any moment leaves nothing behind, and no ``/dev/shm`` can be too small for it.
"""

import logging
import os
import resource
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.codec import Buffer, size_of

logger = logging.getLogger(__name__)

_MOST_FILES: Final = 256
_SPARE_BYTES: Final = 64 << 20


@dataclass(slots=True, eq=False)
class MemoryFile:
    """`nbytes` bytes of a payload at the beginning of a file of `size` bytes of memory."""

    fd: int
    nbytes: int = 0
    size: int = 0

    def write(self, parts: Sequence[Buffer]) -> None:
        """Put `parts` in the place of what was there; raises `OSError` if they do not fit."""
        self.nbytes = size_of(parts)
        self.size = max(self.size, self.nbytes)
        if os.pwritev(self.fd, parts, 0) != self.nbytes:
            raise OSError("no memory for a memory file")


class MemoryFiles:
    """Files for payloads on their way; those that nobody maps any more are used again.

    Giving a file's pages back to the system and asking for new ones takes several times as long
    as copying into pages that are there. Any thread may call any method.

    Attributes
    ----------
    refused : int
        How many payloads got no file.
    """

    def __init__(self) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Sockets, databases and worker processes need descriptors, too.
        self._most = min(_MOST_FILES, allowed // 4)
        self._lock = threading.Lock()
        self._spare: list[MemoryFile] = []
        self._count = 0
        self._closed = False
        self.refused = 0

    def put(self, parts: Sequence[Buffer]) -> MemoryFile | None:
        """A file with what `parts` make together, or None where none can be had."""
        nbytes = size_of(parts)
        try:
            file = self._take(nbytes)
            try:
                file.write(parts)
            except OSError:
                self.give_back(file, again=False)
                raise
        except OSError as error:
            self._refuse(error)
            return None
        return file

    def give_back(self, file: MemoryFile, *, again: bool) -> None:
        """Let go of a file; `again` promises that no process maps it any more."""
        with self._lock:
            if self._closed or not again:
                self._forget(file)
                return
            self._spare.append(file)
            while sum(each.size for each in self._spare) > _SPARE_BYTES:
                self._forget(self._spare.pop(0))

    def close(self) -> None:
        """Give the memory back; files that are still out follow when they are given back."""
        with self._lock:
            self._closed = True
            while self._spare:
                self._forget(self._spare.pop())

    def _take(self, nbytes: int) -> MemoryFile:
        with self._lock:
            for index in reversed(range(len(self._spare))):
                # A file may hold twice what is accounted for, not more.
                if self._spare[index].size <= 2 * nbytes:
                    return self._spare.pop(index)
            if self._count >= self._most and self._spare:
                self._forget(self._spare.pop(0))
            if self._count >= self._most:
                raise OSError(f"{self._count} memory files are in use")
            if not hasattr(os, "memfd_create"):
                raise OSError("this system has no memory files")
            file = MemoryFile(os.memfd_create("sidelight"))
            self._count += 1
            return file

    def _forget(self, file: MemoryFile) -> None:
        os.close(file.fd)
        self._count -= 1

    def _refuse(self, error: OSError) -> None:
        self.refused += 1
        if self.refused == 1:
            logger.warning("frames are copied to the worker processes, which is slower: %s", error)
