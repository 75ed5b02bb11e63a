"""``python -m trainer`` with an analyzer of its own, which is killed or stands still."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes.audit import audit, steps_so_far
from tests.processes.commands import TINY, environment
from tests.processes.scene import Process, Scene

pytestmark = pytest.mark.process

STEPS = 80


def train(scene: Scene, *flags: str) -> Process:
    """Start a trainer whose analyzer is its own; its run is called ``tiny``."""
    return scene.start(
        *("trainer", *TINY, "--max-steps", str(STEPS), "--run-name", "tiny"),
        *("--output-dir", "runs", "--wandb", "disabled", *flags),
    )


def analyzer_of(scene: Scene, trainer: Process) -> psutil.Process:
    """The analyzer that a trainer has started, once rows are released."""
    scene.until(lambda: len(steps_so_far(folder_of(scene))) >= 3)
    number = re.findall(r"process (\d+)", scene.log_of(trainer).read_text())[-1]
    return psutil.Process(int(number))


def folder_of(scene: Scene) -> Path:
    return scene.home / "runs" / "auto_analysis_tiny"


@pytest.mark.long
def test_an_analyzer_that_is_killed_is_started_again_and_misses_nothing(scene: Scene) -> None:
    trainer = train(scene)
    analyzer_of(scene, trainer).kill()
    assert trainer.wait(120) == 0
    said = scene.log_of(trainer).read_text()
    assert "started again" in said
    assert "replay" not in said.replace("can be replayed", "")
    found = audit(folder_of(scene))
    found.expect_once(STEPS)
    found.expect_no_gap()
    assert found.status == "finished"
    report = folder_of(scene) / "final_summary_report.md"
    assert report.exists()
    assert re.search(rf"Report +{report.relative_to(scene.home)}$", said, re.MULTILINE)


@pytest.mark.long
def test_leaving_a_stopped_analyzer_prints_a_command_that_completes_the_run(scene: Scene) -> None:
    trainer = train(scene, "--drain-timeout", "3")
    analyzer = analyzer_of(scene, trainer)
    analyzer.send_signal(signal.SIGSTOP)
    assert trainer.wait(120) == 0, "the exit code is training's own"
    said = scene.log_of(trainer).read_text()
    assert "Report       none, the analyzer ended without it: replay it, see below" in said
    found = re.search(r"this reads the rest: (.*)", said)
    assert found is not None, said
    command = shlex.split(found.group(1))
    assert (Path(scene.home) / command[0]).resolve() == Path(sys.executable).resolve()
    subprocess.run(command, cwd=scene.home, env=environment(), check=True, timeout=120)
    after = audit(folder_of(scene))
    after.expect_once(STEPS)
    after.expect_no_gap()
    assert after.status == "finished"
    assert (folder_of(scene) / "final_summary_report.md").exists()
