"""What the analyzer holds, and open files on both sides; floods of the trainer: test_bounds.py."""

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import other_analysis
from tests.processes.measuring import held_mib, open_files
from tests.processes.scene import Process, Scene, expect_every_batch, expect_everything, family

pytestmark = pytest.mark.process

CREDIT_MIB = 64
"""Frames that an analyzer takes from one trainer before it has worked off others."""
TRAINER: dict[str, object] = {"capture_mib": 32, "queue_mib": 256, "unacked_mib": 4}
TRAINER_MIB = 32 + 256 + 2 * 4 + CREDIT_MIB  # ZeroMQ copies what is on its way
ALLOWANCE_MIB = 24
"""Stacks, a frame that is read or analyzed, rows that wait, what the allocator keeps."""


def held_by(analyzer: Process) -> float:
    """MiB of an analyzer and its workers."""
    return sum(map(held_mib, family(analyzer)))


def publish(scene: Scene, name: str) -> None:
    """A small run of its own name, until the analyzer has let go of it."""
    outcome = scene.outcome(scene.publisher(name, run_name=name, batches=20), name)
    assert outcome["complete"], outcome
    folder = scene.folder.with_name(f"auto_analysis_{name}")
    scene.until((folder / "final_summary_report.md").exists)
    scene.until(lambda: is_free(folder))


def is_free(folder: Path) -> bool:
    """Whether no analyzer holds the folder of a run any more."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.long
def test_a_slow_analyzer_takes_no_more_than_its_credit(scene: Scene) -> None:
    analyzer = scene.analyzer(analysis=f"{other_analysis.__name__}:glance_for_100_ms")
    scene.until_listening(analyzer)
    publish(scene, "warm")
    before_mib = held_by(analyzer)
    # 1.5 MiB a frame, 100 of them a second; less than 10 are analyzed.
    publisher = scene.publisher(batches=300, size=512, step_s=0.01, close_timeout=120, **TRAINER)
    held = [mib - before_mib for mib in watch(analyzer, publisher)]
    outcome = scene.outcome(publisher, deadline_s=10)
    assert CREDIT_MIB / 2 < max(held) < CREDIT_MIB + ALLOWANCE_MIB
    assert outcome["memory"]["grown_mib"] < TRAINER_MIB + ALLOWANCE_MIB
    assert outcome["totals"]["train"]["dropped"] > 50, "the flood was to go beyond the bounds"
    scene.until((scene.folder / "final_summary_report.md").exists)
    expect_every_batch(scene, outcome, 300)


def watch(analyzer: Process, publisher: Process) -> Iterator[float]:
    """MiB of the analyzer, again and again while the publisher works."""
    while publisher.poll() is None:
        yield held_by(analyzer)
        time.sleep(0.02)


def test_runs_that_are_over_leave_nothing_behind_in_the_analyzer(scene: Scene) -> None:
    analyzer = scene.analyzer("--record")
    scene.until_listening(analyzer)
    for name in ("one", "two"):
        publish(scene, name)
    files, mib = open_files(analyzer.pid), held_by(analyzer)
    for name in ("three", "four", "five", "six"):
        publish(scene, name)
    # ZeroMQ sees a moment later that a trainer is gone.
    scene.until(lambda: open_files(analyzer.pid) <= files, deadline_s=10)
    assert held_by(analyzer) < mib + 8


@pytest.mark.long
def test_connections_that_are_over_leave_nothing_behind_in_the_trainer(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    release = scene.home / "release"
    publisher = scene.publisher(batches=1500, step_s=0.01, close_timeout=60, hold=release)
    files, mib = [], []
    for _ in range(4):
        scene.until_steps(len(scene.steps()) + 20)
        files.append(open_files(publisher.pid))
        mib.append(held_mib(publisher.pid))
        analyzer.kill()
        analyzer.wait()
        analyzer = scene.analyzer("--once")
    release.touch()
    outcome = scene.outcome(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(scene, outcome, 1500)
    assert max(files) <= files[0] + 1, "the journal is one more"
    assert max(mib) < mib[0] + 16
