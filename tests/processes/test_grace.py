"""SIGTERM while frames are at work: it ends within its grace period, and says what is left."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes.scene import Process, Scene, expect_every_batch

pytestmark = pytest.mark.process

GRACE_S = 2.0
HANG = "tests.processes.other_analysis:hang"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def stuck(scene: Scene, grace_s: float) -> tuple[Process, Process, list[psutil.Process]]:
    """An analyzer whose analyses never end, the trainer that sends to it, and its processes."""
    analyzer = scene.analyzer("--grace", str(grace_s), analysis=HANG)
    publisher = scene.publisher(
        batches=60, step_s=0.01, hold=scene.home / "release", close_timeout=60
    )
    family: list[psutil.Process] = []
    while not family:  # a worker has begun on a frame
        scene.until(lambda: scene.folder.exists())
        family = psutil.Process(analyzer.pid).children(recursive=True)
    return analyzer, publisher, family


def expect_gone(processes: list[psutil.Process]) -> None:
    gone, alive = psutil.wait_procs(processes, timeout=30.0)
    assert alive == []
    assert len(gone) == len(processes)


def test_it_ends_in_time_says_what_is_left_and_the_next_one_goes_on(scene: Scene) -> None:
    analyzer, publisher, family = stuck(scene, GRACE_S)
    asked_at = time.monotonic()
    analyzer.terminate()
    assert analyzer.wait(60.0) == 0, scene.said()
    assert time.monotonic() - asked_at < GRACE_S + 2.0  # and a little for its last breath
    expect_gone(family)
    said = scene.log_of(analyzer).read_text()
    assert "bare: not over (left: " in said
    assert "the next analyzer of this output folder goes on with it" in said
    second = scene.analyzer()
    (scene.home / "release").touch()
    expect_every_batch(scene, scene.outcome(publisher), 60)
    scene.end(second)


def test_a_second_signal_ends_it_at_once_without_damage(scene: Scene) -> None:
    analyzer, publisher, family = stuck(scene, 600.0)
    analyzer.terminate()
    time.sleep(0.2)  # two signals that are pending at the same time are one
    asked_at = time.monotonic()
    analyzer.send_signal(signal.SIGINT)
    assert analyzer.wait(60.0) == 128 + signal.SIGINT
    assert time.monotonic() - asked_at < 2.0
    expect_gone(family)
    second = scene.analyzer()
    (scene.home / "release").touch()
    expect_every_batch(scene, scene.outcome(publisher), 60)
    scene.end(second)
