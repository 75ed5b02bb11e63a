"""A dask scheduler and workers of one thread each, as processes whose processor time is known."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from distributed import Client

from measure.analyzer import ROOT

_START_S: Final = 180.0
_END_S: Final = 10.0


class DaskCluster:
    """A scheduler with so many `workers`, on this machine; ends with the block."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self._log = folder / "dask.log"
        self._file = folder / "scheduler.json"
        self._processes: list[psutil.Popen] = []
        scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        # Should the benchmark be killed, they end by themselves.
        scheduler += ["--idle-timeout", "900s"]
        self._start([*scheduler, "--scheduler-file", str(self._file)])
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
        options += ["--death-timeout", "60"]
        where = ["--scheduler-file", str(self._file), "--local-directory", str(folder)]
        for _ in range(workers):
            self._start(["dask_worker", *options, *where, "--host", "127.0.0.1"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        family = [child for each in self._processes for child in _children(each)]
        for process in reversed(self._processes):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(self._processes, timeout=_END_S)
        for process in (*self._processes, *family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self._processes, timeout=_END_S)

    def wait(self) -> str:
        """Address of the scheduler, once all workers have joined."""
        deadline = time.monotonic() + _START_S
        while not self._file.exists():
            self._check(deadline)
            time.sleep(0.05)
        with Client(scheduler_file=str(self._file), set_as_default=False) as client:
            while len(client.scheduler_info(n_workers=-1)["workers"]) < self.workers:
                self._check(deadline)
                time.sleep(0.05)
            return str(client.scheduler.address)

    def scheduler_cpu_s(self) -> float:
        """Processor seconds that the scheduler has taken."""
        return _cpu_s(self._processes[0])

    def cpu_s(self) -> float:
        """Processor seconds of the scheduler, the workers and their children."""
        everyone = [each for one in self._processes for each in (one, *_children(one))]
        return sum(map(_cpu_s, everyone))

    def _start(self, command: list[str]) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        benchmarks = str(ROOT / "benchmarks")
        with self._log.open("ab") as log:
            self._processes.append(
                psutil.Popen(
                    [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([path, benchmarks])},
                )
            )

    def _check(self, deadline: float) -> None:
        gone = any(process.poll() is not None for process in self._processes)
        if gone or time.monotonic() > deadline:
            raise RuntimeError(f"dask did not start:\n{self._log.read_text()}")


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
