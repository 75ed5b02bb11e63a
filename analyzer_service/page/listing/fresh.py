"""Remembers what was read of each run, for as long as its files do not change."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Facts = tuple[tuple[int, int, int] | None, ...]
# A file may change twice within one tick of the file system's clock; what was read of one that
# changed just now is read again.
_TICK_NS: Final = 100_000_000


class Fresh(Generic[T]):
    """What `read` made of each folder, read again where one of its `files` has changed.

    Parameters
    ----------
    read : callable
        Reads a folder.
    files : sequence of str
        Names inside the folder that the result depends on; a file that is not there is a fact,
        too.
    """

    def __init__(self, read: Callable[[Path], T], files: Iterable[str]) -> None:
        self._read = read
        self._files = tuple(files)
        self._kept: dict[str, tuple[Facts, T]] = {}
        self._lock = threading.Lock()

    def of(self, folders: Mapping[str, Path]) -> Mapping[str, T]:
        """What was read of each of `folders`, by its name; of any other it is forgotten.

        Who asks at the same time waits, and then finds everything read.
        """
        with self._lock:
            now, self._kept = self._look(folders)
        return now

    def _look(self, folders: Mapping[str, Path]) -> tuple[dict[str, T], dict[str, tuple[Facts, T]]]:
        now: dict[str, T] = {}
        kept: dict[str, tuple[Facts, T]] = {}
        for name, folder in folders.items():
            place = os.fspath(folder)
            # Joined as text: making paths of 1,500 names takes longer than asking for their facts.
            facts = tuple([_facts(f"{place}{os.sep}{file}") for file in self._files])
            known = self._kept.get(name)
            now[name] = known[1] if known and known[0] == facts else self._read(folder)
            if not _just_now(facts):
                kept[name] = facts, now[name]
        return now, kept


def _facts(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _just_now(facts: Facts) -> bool:
    latest = max([each[2] for each in facts if each is not None], default=0)
    return abs(time.time_ns() - latest) < _TICK_NS
