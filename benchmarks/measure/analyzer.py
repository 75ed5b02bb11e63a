"""An analyzer as users run it: a process of its own, at low priority."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]
_LOW_PRIORITY: Final = 10
_END_S: Final = 20.0
_START_S: Final = 60.0


class Analyzer:
    """``python -m analyzer_service serve``; `command` starts another program in its place."""

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        *,
        command: Sequence[str] = ("-m", "analyzer_service"),
        more: Sequence[str] = (),
    ) -> None:
        self.endpoint = endpoint
        self.log_file = folder / "analyzer.log"
        arguments = [
            *(sys.executable, *command, "serve", "--bind", endpoint),
            *("--output-dir", str(folder), "--wandb", "disabled", *more),
            *("--parent-pid", str(os.getpid())),  # it ends with the benchmark, however that ends
        ]
        path = os.pathsep.join(
            [str(ROOT), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        psutil.Process(self._process.pid).nice(_LOW_PRIORITY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill(signal.SIGCONT)
        self.kill(signal.SIGTERM)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGKILL)

    def wait_until_listening(self) -> None:
        """Return once its log says so."""
        deadline_s = time.monotonic() + _START_S
        while "listening on" not in self.log_file.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"the analyzer did not start:\n{self.log_file.read_text()}")
            time.sleep(0.05)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process and its workers."""
        for process in [*self._family(), self._process]:
            try:
                process.send_signal(number)
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        if number == signal.SIGKILL:
            self._process.wait()

    def cpu_s(self) -> float:
        """Processor seconds that it and its workers have taken."""
        times = [process.cpu_times() for process in self._everyone()]
        return sum(each.user + each.system for each in times)

    def resident_bytes(self) -> tuple[int, int]:
        """Memory that is resident: of the process itself, and of its workers together."""
        sizes = [_resident(process) for process in self._everyone()]
        return (sizes[0] if sizes else 0), sum(sizes[1:])

    def wait(self, timeout_s: float) -> None:
        """Return once it has ended by itself."""
        self._process.wait(timeout_s)

    def _everyone(self) -> list[psutil.Process]:
        try:
            return [psutil.Process(self._process.pid), *self._family()]
        except psutil.NoSuchProcess:
            return []

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
