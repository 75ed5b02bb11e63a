"""Analyzers and bare publishers as processes of one test, all ended when the test ends."""

import json
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.processes.audit import Audit, audit, steps_so_far
from tests.processes.commands import run, start
from tests.processes.measuring import peak_mib, resident_mib

DEADLINE_S = 60.0
LONGEST_HANDOFF_MS = 250.0
"""A call that waited for a socket, a disk or another process would take seconds; on two cores
that a dozen processes share, one that waits for nobody may still be put aside for a while."""

Process = subprocess.Popen[bytes]


class Scene:
    """Starts processes in `home`; `close` kills those that are left."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.endpoint = f"tcp://127.0.0.1:{free_ports()}"
        self.folder = home / "runs" / "auto_analysis_bare"
        self._started: list[Process] = []

    def analyzer(
        self,
        *options: str,
        analysis: str | None = None,
        runs: Path | str = "runs",
        variables: Mapping[str, str] | None = None,
    ) -> Process:
        """Start an analyzer at `endpoint` that writes to `runs`.

        `analysis` (``module:function``) takes the place of the real one; `variables` are added
        to its environment.
        """
        command = ("analyzer_service",)
        if analysis is not None:
            command = ("tests.processes.other_analysis", analysis)
        return self.start(
            *(*command, "serve", "--bind", self.endpoint, "--output-dir", str(runs)),
            *("--wandb", "disabled", "--workers", "1", *options),
            variables=variables,
        )

    def publisher(self, name: str = "outcome", **options: object) -> Process:
        """Start a publisher whose outcome goes to ``{name}.json``."""
        given = [
            part
            for key, value in options.items()
            for part in (f"--{key.replace('_', '-')}", str(value))
        ]
        outcome = str(self.home / f"{name}.json")
        return self.start("tests.processes.publishing", self.endpoint, outcome, *given)

    def outcome(
        self,
        publisher: Process,
        name: str = "outcome",
        *,
        exit_code: int = 0,
        deadline_s: float = DEADLINE_S,
    ) -> dict[str, Any]:
        """What a publisher says of its closing, once it has ended; it never waited meanwhile."""
        assert publisher.wait(deadline_s) == exit_code, self.said()
        found: dict[str, Any] = json.loads((self.home / f"{name}.json").read_text())
        handoff = found["handoff"]
        assert handoff.get("longest_ms", 0.0) < LONGEST_HANDOFF_MS, handoff
        return found

    def end(self, analyzer: Process) -> None:
        """Let an analyzer end in order."""
        analyzer.terminate()
        assert analyzer.wait(DEADLINE_S) == 0, self.said()

    def replay(self, recording: str, *, into: str = "runs") -> None:
        """Replay a recording, as the user is told to."""
        run("analyzer_service", "replay", recording, "--output-dir", into, cwd=self.home)

    def until(self, condition: Callable[[], object], *, deadline_s: float = DEADLINE_S) -> None:
        """Wait for `condition`; fail, with all that was said, when it does not come true."""
        until_s = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < until_s, self.said()
            time.sleep(0.02)

    def until_steps(self, least: int) -> None:
        """Wait until so many training rows are released."""
        self.until(lambda: len(self.steps()) >= least)

    def until_listening(self, analyzer: Process) -> None:
        """Wait until an analyzer takes connections."""
        log = self.log_of(analyzer)
        self.until(lambda: "listening on" in log.read_text())

    def steps(self) -> list[int]:
        """Training steps of the released rows, in their order."""
        return steps_so_far(self.folder)

    def audit(self) -> Audit:
        """The run as its folder tells it."""
        return audit(self.folder)

    def said(self) -> str:
        """What all processes have said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()}" for path in sorted(self.home.glob("*.log"))
        )

    def log_of(self, process: Process) -> Path:
        """File with what a process has said."""
        return self.home / f"{self._started.index(process):02d}.log"

    def close(self) -> None:
        """Kill what is left."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def start(self, *command: str, variables: Mapping[str, str] | None = None) -> Process:
        """Start ``python -m …``; it is killed, at the latest, when the test ends."""
        log = self.home / f"{len(self._started):02d}.log"
        process = start(*command, cwd=self.home, log=log, variables=variables)
        self._started.append(process)
        return process


def expect_everything(scene: Scene, outcome: dict[str, Any], batches: int) -> None:
    """Each batch arrived once with its frame, and both books say so."""
    found = scene.audit()
    found.expect_once(batches)
    found.expect_no_gap()
    assert found.frame_count == (batches, batches, 0)
    assert found.failures == {}
    assert found.status == "finished"
    assert outcome["complete"], outcome
    assert outcome["records_lost"] == 0
    assert outcome["journal"] is None
    everything = {"offered": batches, "delivered": batches, "dropped": 0, "pending": 0}
    assert outcome["totals"]["train"] == everything


def expect_every_batch(scene: Scene, outcome: dict[str, Any], batches: int) -> None:
    """Each batch arrived once; each frame did, or is named; both sides count the same."""
    found = scene.audit()
    found.expect_once(batches)
    found.expect_no_gap()
    assert outcome["records_lost"] == 0
    books = outcome["totals"]["train"]
    assert books["offered"] == books["delivered"] + books["dropped"] + books["pending"]
    assert found.frame_count == (books["offered"], books["delivered"], books["dropped"])


def family(process: Process) -> list[int]:
    """Process numbers of a process and of those that it started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [process.pid, *(child.pid for child in children)]


def family_resident_mib(process: Process) -> float:
    """Resident memory of a process and of those that it started."""
    return sum(resident_mib(pid) for pid in family(process))


def family_peak_mib(process: Process) -> float:
    """Sum of the largest resident memory that each of them has had."""
    return sum(peak_mib(pid) for pid in family(process))


def free_ports() -> int:
    """A port that is free together with the one behind it, and that no connection is given.

    The system gives each connection a port from 32768 on: one from there may be taken at any
    moment.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
