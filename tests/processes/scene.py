"""Analyzers and bare publishers as processes of one test, all ended when the test ends."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer_service.commit.database import holds_run
from analyzer_service.commit.reader import RunReader
from tests.processes.commands import start

DEADLINE_S = 60.0
Process = subprocess.Popen[bytes]


class Scene:
    """Starts processes in `home`; `close` kills those that are left."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.endpoint = f"tcp://127.0.0.1:{free_ports()}"
        self.folder = home / "runs" / "auto_analysis_bare"
        self._started: list[Process] = []

    def analyzer(self, *options: str) -> Process:
        """Start an analyzer at `endpoint` that writes to ``runs``."""
        return self._start(
            *("analyzer_service", "serve", "--bind", self.endpoint, "--output-dir", "runs"),
            *("--wandb", "disabled", "--workers", "1", *options),
        )

    def publisher(self, name: str = "outcome", **options: object) -> Process:
        """Start a publisher whose outcome goes to ``{name}.json``."""
        given = [
            part
            for key, value in options.items()
            for part in (f"--{key.replace('_', '-')}", str(value))
        ]
        outcome = str(self.home / f"{name}.json")
        return self._start("tests.processes.publishing", self.endpoint, outcome, *given)

    def outcome(self, publisher: Process, name: str = "outcome") -> dict[str, Any]:
        """What a publisher says of its closing, once it has ended."""
        assert publisher.wait(DEADLINE_S) == 0, self.said()
        found: dict[str, Any] = json.loads((self.home / f"{name}.json").read_text())
        return found

    def end(self, analyzer: Process) -> None:
        """Let an analyzer end in order."""
        analyzer.terminate()
        assert analyzer.wait(DEADLINE_S) == 0, self.said()

    def until(self, condition: Callable[[], object], *, deadline_s: float = DEADLINE_S) -> None:
        """Wait for `condition`; fail, with all that was said, when it does not come true."""
        until_s = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < until_s, self.said()
            time.sleep(0.02)

    def steps(self) -> list[int]:
        """Steps of the released rows, in their order."""
        if not holds_run(self.folder):
            return []
        with RunReader(self.folder) as reader:
            return [int(row.values["global_step"]) for row in reader.rows()]

    def status(self) -> str | None:
        """How the run stands; None before it began."""
        if not holds_run(self.folder):
            return None
        with RunReader(self.folder) as reader:
            return reader.state().status

    def said(self) -> str:
        """What all processes have said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()}" for path in sorted(self.home.glob("*.log"))
        )

    def close(self) -> None:
        """Kill what is left."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def _start(self, *command: str) -> Process:
        log = self.home / f"{len(self._started):02d}.log"
        process = start(*command, cwd=self.home, log=log)
        self._started.append(process)
        return process


def free_ports() -> int:
    """A port that is free together with the one behind it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
