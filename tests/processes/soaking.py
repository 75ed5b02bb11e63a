"""Watches the processes of a long run: what each of them holds, second by second."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.processes.measuring import MIB, open_files, resident_mib

Pids = Callable[[], list[int]]
INTERVAL_S = 1.0
LEAST_WARM_UP_S = 20.0


@dataclass(frozen=True)
class Holding:
    """What a group of processes holds at one time."""

    resident_mib: float
    files: int
    threads: int
    processes: int


@dataclass(frozen=True)
class Shot:
    """All groups at one time, in seconds since the start, and the size of the database's log."""

    at_s: float
    holdings: dict[str, Holding]
    wal_mib: float


@dataclass(frozen=True)
class Growth:
    """How a series went on after its warm-up: typical values early and late, and least ones."""

    early: float
    late: float
    early_least: float
    late_least: float
    minutes: float

    @property
    def per_minute(self) -> float:
        """Growth of the typical value in one minute."""
        return (self.late - self.early) / self.minutes


def watch(groups: Mapping[str, Pids], wal: Path, *, for_s: float) -> Iterator[Shot]:
    """Look each second for so long; a look during which a process ends is left out."""
    began_s = due_s = time.monotonic()
    while due_s <= began_s + for_s:
        with suppress(OSError, LookupError, psutil.NoSuchProcess):
            holdings = {name: _holding(pids()) for name, pids in groups.items()}
            yield Shot(time.monotonic() - began_s, holdings, _size_mib(wal))
        due_s += INTERVAL_S
        time.sleep(max(0.0, due_s - time.monotonic()))


def growth(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """Compare the first and the last fifth of what follows the first third.

    Examples
    --------
    >>> growth(range(61), [float(second) for second in range(61)]).per_minute
    60.0
    """
    warm_s = warm_up_s(times_s[-1])
    fifth_s = (times_s[-1] - warm_s) / 5
    pairs = list(zip(times_s, values, strict=True))
    early = [value for at_s, value in pairs if warm_s <= at_s <= warm_s + fifth_s]
    late = [value for at_s, value in pairs if at_s >= times_s[-1] - fifth_s]
    return Growth(
        early=statistics.median(early),
        late=statistics.median(late),
        early_least=min(early),
        late_least=min(late),
        minutes=4 * fifth_s / 60,
    )


def warm_up_s(total_s: float) -> float:
    """How much of a soak is warm-up: caches fill, arenas are made, code is imported."""
    return max(LEAST_WARM_UP_S, total_s / 3)


def table(shots: Sequence[Shot], rows: int = 20) -> str:
    """Some of what was seen, as columns."""
    names = list(shots[0].holdings)
    head = "".join(f"{name:>12} MiB {'files':>5} {'thr':>3} {'proc':>4}" for name in names)
    lines = [f"{'s':>6}{head}{'WAL MiB':>9}"]
    for shot in shots[:: max(1, len(shots) // rows)]:
        cells = "".join(
            f"{held.resident_mib:16.1f} {held.files:5d} {held.threads:3d} {held.processes:4d}"
            for held in shot.holdings.values()
        )
        lines.append(f"{shot.at_s:6.0f}{cells}{shot.wal_mib:9.2f}")
    return "\n".join(lines)


def _holding(pids: list[int]) -> Holding:
    return Holding(
        resident_mib=sum(map(resident_mib, pids)),
        files=sum(map(open_files, pids)),
        threads=sum(psutil.Process(pid).num_threads() for pid in pids),
        processes=len(pids),
    )


def _size_mib(file: Path) -> float:
    return file.stat().st_size / MIB if file.exists() else 0.0
