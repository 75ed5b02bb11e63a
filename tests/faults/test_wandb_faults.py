"""W&B out of reach, and its core process killed and stopped, while a real run goes on."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.analyzer_service.sinks import wandb_files
from tests.processes.scene import Process, Scene, expect_everything

pytestmark = pytest.mark.process

LONGEST_END_S = 30.0
"""W&B has 10 s for its end (`RunsSettings.wandb_timeout_s`); the rest is for a machine that is
busy."""


@pytest.fixture
def mute_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    return f"http://127.0.0.1:{number}"


def core_of(analyzer: Process) -> psutil.Process | None:
    """W&B's own process, a child of the one that logs to it; None before it is started."""
    for process in psutil.Process(analyzer.pid).children(recursive=True):
        if process.name() == "wandb-core":
            return process
    return None


def rows_logged(folder: Path) -> int:
    """How many rows W&B has taken."""
    position = folder / "wandb" / "sidelight_position.json"
    return int(json.loads(position.read_text())["rows"]) if position.exists() else 0


def steps_at_wandb(folder: Path) -> list[int]:
    """Training steps in all of W&B's files of a run."""
    found = wandb_files.history(*sorted((folder / "wandb").glob("offline-run-*")))
    steps: list[int] = wandb_files.column(found, "train/global_step")
    return steps


def end(analyzer: Process) -> None:
    """The analyzer ends by itself, in time, whatever W&B does."""
    began_s = time.monotonic()
    assert analyzer.wait(LONGEST_END_S) == 0
    assert time.monotonic() - began_s < LONGEST_END_S


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended, be it that nobody has taken its exit code yet."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def disturb_core(scene: Scene, number: signal.Signals, *, patient: bool, batches: int) -> None:
    """A run in the middle of which W&B's core process gets a signal.

    A `patient` trainer ends only when W&B has taken every row all the same.
    """
    analyzer = scene.analyzer("--once", "--wandb", "offline")
    release = scene.home / "release"
    publisher = scene.publisher(batches=batches, step_s=0.025, hold=release)
    scene.until(lambda: rows_logged(scene.folder) >= 20)
    core = core_of(analyzer)
    assert core is not None
    at = len(scene.steps())
    core.send_signal(number)
    scene.until_steps(min(at + 20, batches))
    if patient:
        scene.until(lambda: rows_logged(scene.folder) == batches, deadline_s=120)
    release.touch()
    outcome = scene.outcome(publisher)
    end(analyzer)
    expect_everything(scene, outcome, batches)
    assert is_gone(core)


@pytest.mark.long
def test_a_killed_core_process_costs_nothing(scene: Scene) -> None:
    disturb_core(scene, signal.SIGKILL, patient=True, batches=120)
    # What it held in memory as it died comes once more.
    assert set(steps_at_wandb(scene.folder)) == set(range(1, 121))
    assert "120 rows and 0 dashboards logged offline" in scene.said()


@pytest.mark.long
def test_a_stopped_core_process_delays_nobody(scene: Scene) -> None:
    disturb_core(scene, signal.SIGSTOP, patient=False, batches=120)
    said = scene.said()
    assert "the W&B process did not answer in time" in said
    (line,) = [line for line in said.splitlines() if "dashboards logged offline" in line]
    assert "dashboards not" in line, "what may be missing is to be counted"
    assert "to upload: wandb sync" in line


@pytest.mark.long
def test_a_core_process_that_stays_stopped_is_replaced(scene: Scene) -> None:
    # It is given up after 30 s.
    disturb_core(scene, signal.SIGSTOP, patient=True, batches=1000)
    assert set(steps_at_wandb(scene.folder)) == set(range(1, 1001))


@pytest.mark.long
@pytest.mark.parametrize("server", ["closed_port", "mute_server"])
def test_a_server_out_of_reach_delays_nobody(
    scene: Scene, server: str, request: pytest.FixtureRequest
) -> None:
    account = {"WANDB_BASE_URL": request.getfixturevalue(server), "WANDB_API_KEY": "0" * 40}
    analyzer = scene.analyzer("--once", "--wandb", "online", variables=account)
    release = scene.home / "release"
    publisher = scene.publisher(batches=120, step_s=0.025, hold=release)
    scene.until_steps(120)
    assert rows_logged(scene.folder) == 0, "nobody was to wait for W&B's attempts"
    scene.until(lambda: rows_logged(scene.folder) == 120, deadline_s=120)
    release.touch()
    outcome = scene.outcome(publisher)
    end(analyzer)
    expect_everything(scene, outcome, 120)
    assert steps_at_wandb(scene.folder) == list(range(1, 121))
    said = scene.said()
    assert "no run could be opened online" in said
    assert "120 rows and 0 dashboards logged offline" in said
    assert "to upload: wandb sync" in said


@pytest.mark.long
def test_a_run_that_ends_while_the_server_is_out_of_reach_ends_in_time(
    scene: Scene, mute_server: str
) -> None:
    account = {"WANDB_BASE_URL": mute_server, "WANDB_API_KEY": "0" * 40}
    analyzer = scene.analyzer("--once", "--wandb", "online", variables=account)
    release = scene.home / "release"
    publisher = scene.publisher(batches=120, step_s=0.025, hold=release)
    scene.until_steps(120)
    release.touch()
    outcome = scene.outcome(publisher)
    end(analyzer)
    expect_everything(scene, outcome, 120)
