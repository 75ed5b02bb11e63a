"""Who is at a cluster, and which of its workers are given chunks.

Not those of another installation: they would answer at once that they cannot, and so look idle and
be given everything. Nor those that are silent: what they were given would wait until dask gives
them up, minutes later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SILENT_S: Final = 20.0
"""A worker gives a sign of life every few seconds at most."""


@dataclass
class _Worker:
    address: str
    threads: int
    seen: float
    seen_at_s: float
    fits: bool | None = None
    silent: bool = False

    @property
    def usable(self) -> bool:
        return self.fits is True and not self.silent


class Roster:
    """Kept up to date with what a scheduler tells of its workers.

    Examples
    --------
    >>> roster = Roster()
    >>> told = {"tcp://a:1": {"nthreads": 4, "last_seen": 1.0, "local_directory": "x"}}
    >>> roster.see(told, now_s=100.0)
    ['tcp://a:1']
    >>> roster.threads
    0
    >>> roster.note("tcp://a:1", fits=True)
    >>> roster.threads, roster.only
    (4, None)
    """

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], _Worker] = {}

    @property
    def threads(self) -> int:
        """How many run a chunk each, of workers that are given some."""
        return sum(worker.threads for worker in self._workers.values() if worker.usable)

    @property
    def only(self) -> list[str] | None:
        """Addresses of workers that are given chunks; None if that is all of them, or none."""
        found = [worker.address for worker in self._workers.values() if worker.usable]
        return found if 0 < len(found) < len(self._workers) else None

    @property
    def silent(self) -> list[str]:
        """Addresses of workers that have not been heard of for a while."""
        return [worker.address for worker in self._workers.values() if worker.silent]

    def see(self, told: Mapping[str, Mapping[str, Any]], now_s: float) -> list[str]:
        """Take in what the scheduler tells, by address; return who is to be compared with us.

        `now_s` is this machine's clock; the scheduler's one only has to go on.
        """
        before, self._workers = self._workers, {}
        for address, about in told.items():
            key = address, str(about["local_directory"])  # a worker that restarts has another one
            threads, seen = int(about["nthreads"]), float(about["last_seen"])
            worker = before.get(key) or _Worker(address, threads, seen, now_s)
            if seen != worker.seen:
                worker.seen, worker.seen_at_s = seen, now_s
            worker.threads = threads
            worker.silent = now_s - worker.seen_at_s > SILENT_S
            self._workers[key] = worker
        return [worker.address for worker in self._workers.values() if worker.fits is None]

    def note(self, address: str, *, fits: bool) -> None:
        """A worker there was compared; nothing happens if it is gone."""
        for worker in self._workers.values():
            if worker.address == address:
                worker.fits = fits


def keys_of(processing: Mapping[str, Iterable[Any]], prefix: str) -> list[str]:
    """Our tasks among those that workers have, by what their names begin with."""
    return [str(key) for keys in processing.values() for key in keys if str(key).startswith(prefix)]
