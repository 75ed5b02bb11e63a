"""Runs that were opened to be read, kept open for the next request: opening takes longer."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from analyzer_service.commit.reader import RunReader
from analyzer_service.page.opened import Opened

MOST_KEPT: Final = 16
KEPT_S: Final = 10.0
Kept = tuple[Path, Opened, RunReader, float]


class Readers:
    """Readers that wait for the next request, each used by one thread at a time.

    One whose files were replaced is closed, and so is one that nobody took for `KEPT_S` seconds, as
    soon as anything else is asked for: a run that is deleted does not keep its disk for long.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: list[Kept] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._kept)

    def take(self, folder: Path) -> tuple[RunReader, Opened]:
        """A reader of the run in `folder`, which is this thread's alone until it is given back.

        Raises
        ------
        ConfigurationError, StoreError, OSError
            If the run cannot be read.
        """
        with self._lock:
            mine = [kept for kept in self._kept if kept[0] == folder]
            for kept in mine:
                self._kept.remove(kept)
        taken = None
        for _, opened, reader, at in reversed(mine):
            if taken is None and opened.holds(folder):
                taken = reader, opened
            elif opened.holds(folder):
                self._keep((folder, opened, reader, at))
            else:
                reader.close()
        if taken is None:
            opened = Opened.of(folder)
            taken = RunReader(folder, unchanged=True, one_thread=False), opened
        return taken

    def give_back(self, folder: Path, reader: RunReader, opened: Opened) -> None:
        """Keep a reader that answered for the next one who asks."""
        self._keep((folder, opened, reader, self._clock()))

    def close(self) -> None:
        """Close all that wait."""
        with self._lock:
            kept, self._kept = self._kept, []
        for _, _, reader, _ in kept:
            reader.close()

    def _keep(self, kept: Kept) -> None:
        oldest = self._clock() - KEPT_S
        with self._lock:
            everyone = sorted((*self._kept, kept), key=lambda each: each[3])
            fresh = [each for each in everyone if each[3] >= oldest][-MOST_KEPT:]
            self._kept = fresh
        for each in everyone:
            if each not in fresh:
                each[2].close()
