"""Whether the analyzer can take work now."""

import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analyzer_service.checks import Check
from analyzer_service.metrics.snapshot import STOOD_STILL_S, Board

INTERVAL_S: Final = 2.0
SILENT_S: Final = 10.0
_PROBE_BYTES: Final = 4096
_JOIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Room:
    """What was found in the output folder: free bytes, and why it cannot be written, if so."""

    free_bytes: int | None = None
    why: str = ""


class OutputProbe:
    """Writes to the output folder every 2 s, on a thread of its own: a disk may not answer.

    Parameters
    ----------
    folder : Path
        The output folder; nothing that is written there has a name, or stays.
    clock : callable
        Seconds.

    Attributes
    ----------
    latest : Room
        What was found last.
    """

    def __init__(
        self,
        folder: Path,
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._interval_s = interval_s
        self._clock = clock
        self._closing = threading.Event()
        self.latest = look(folder)
        self._at = clock()
        self._thread = threading.Thread(target=self._run, name="output probe", daemon=True)
        self._thread.start()

    @property
    def silent_s(self) -> float:
        """Seconds since the folder last answered, with whatever it was."""
        return max(0.0, self._clock() - self._at)

    def close(self) -> None:
        """End the thread; waits for a disk 2 s at most."""
        self._closing.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.latest, self._at = look(self._folder), self._clock()


def look(folder: Path) -> Room:
    """Try to write to `folder`, and measure its room; leaves nothing behind."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
        found = os.statvfs(folder)
    except OSError as error:
        return Room(why=os.strerror(error.errno or errno.EIO))
    return Room(found.f_bavail * found.f_frsize)


@dataclass(frozen=True)
class Readiness:
    """Every check of an analyzer; any thread may ask, and none waits.

    Attributes
    ----------
    board : Board
        What the ingest loop leaves.
    output : OutputProbe or None
        Of the output folder; None leaves its checks out.
    least_free_bytes : int
        Room in the output folder below which no new work should come.
    workers_failing : callable
        Whether no worker process can be had.
    """

    board: Board
    output: OutputProbe | None = None
    least_free_bytes: int = 0
    workers_failing: Callable[[], bool] = field(default=lambda: False)

    def checks(self) -> list[Check]:
        """All of them, in the order in which people read them."""
        return [self._loop(), self._sockets(), self._draining(), *self._disk(), self._workers()]

    def _loop(self) -> Check:
        still_s = self.board.still_s
        if still_s <= STOOD_STILL_S:
            return Check("loop")
        why = f"the ingest loop has stood still for {still_s:.0f} s"
        return Check("loop", why, "wait; if it stays so, restart the analyzer: /healthz fails too")

    def _sockets(self) -> Check:
        if self.board.phase != "starting":
            return Check("sockets")
        return Check("sockets", "the analyzer does not listen yet", "wait for its start")

    def _draining(self) -> Check:
        if self.board.phase != "ending":
            return Check("draining")
        why = "the analyzer ends: it writes what it has, and takes nothing more"
        return Check("draining", why, "wait for its next start; trainers keep what they have")

    def _disk(self) -> list[Check]:
        if self.output is None:
            return [self._stores()]
        return [self._output(self.output), self._free(self.output.latest), self._stores()]

    def _output(self, output: OutputProbe) -> Check:
        to_do = "see that the folder of --output-dir is mounted, writable and has room"
        if output.silent_s > SILENT_S:
            why = f"the output folder has not answered for {output.silent_s:.0f} s"
            return Check("output", why, to_do)
        if output.latest.why:
            why = f"the output folder cannot be written: {output.latest.why}"
            return Check("output", why, to_do)
        return Check("output")

    def _free(self, room: Room) -> Check:
        if room.free_bytes is None or room.free_bytes >= self.least_free_bytes:
            return Check("disk")
        why = f"{_mib(room.free_bytes)} free, less than --least-free {_mib(self.least_free_bytes)}"
        return Check(
            "disk", why, "delete old runs, or keep less: --keep-dashboards, --frames-limit"
        )

    def _stores(self) -> Check:
        failing = [run.name for run in self.board.latest.runs if run.store_failing]
        if not failing:
            return Check("stores")
        why = f"results cannot be written: {', '.join(failing)}"
        return Check("stores", why, "make room on the disk; trainers keep what they have meanwhile")

    def _workers(self) -> Check:
        if not self.workers_failing():
            return Check("workers")
        why = "worker processes cannot be started, or die"
        return Check("workers", why, "see the log; give it more memory, or less --workers")


def _mib(nbytes: int) -> str:
    return f"{nbytes / (1 << 20):.0f} MiB"
