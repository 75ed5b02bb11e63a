"""An analyzer that is late, killed, stopped or gone, with real processes over real sockets."""

import random
import signal
import time

import pytest

from tests.processes.scene import Scene, expect_everything

pytestmark = pytest.mark.process


@pytest.mark.parametrize("late_s", [2, pytest.param(30, marks=pytest.mark.long)])
def test_an_analyzer_that_comes_late_misses_nothing(scene: Scene, late_s: int) -> None:
    batches = 40 * (late_s + 3)
    publisher = scene.publisher(batches=batches, step_s=0.025)
    scene.until(lambda: list(scene.home.glob("*.journal.mcap")))
    time.sleep(late_s)  # what is tested: so much later
    analyzer = scene.analyzer("--once")
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, batches)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_an_analyzer_killed_three_times_loses_and_doubles_nothing(scene: Scene, seed: int) -> None:
    generator = random.Random(seed)
    publisher = scene.publisher(batches=300, step_s=0.03, close_timeout=15)
    analyzer = scene.analyzer("--once")
    for part in range(3):
        scene.until_steps(20 + 70 * part + generator.randrange(40))
        analyzer.kill()
        analyzer.wait()
        analyzer = scene.analyzer("--once")
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)


@pytest.mark.long
def test_an_analyzer_killed_every_second_or_two_for_half_a_minute(scene: Scene) -> None:
    generator = random.Random(0)
    # Starting takes the analyzer a second or more: many are killed before they listen.
    batches, reached = 1700, [0]
    publisher = scene.publisher(batches=batches, step_s=0.02, close_timeout=30)
    analyzer = scene.analyzer("--once")
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        if len(reached) % 3 == 0:  # every third one is to get as far as its work
            scene.until_steps(reached[-1] + 1)
        time.sleep(generator.uniform(1.0, 2.0))  # what is tested: killed after so long
        analyzer.kill()
        analyzer.wait()
        reached.append(len(scene.steps()))
        analyzer = scene.analyzer("--once")
    assert publisher.poll() is None, "the run was to go on through all of it"
    outcome = scene.outcome(publisher, deadline_s=90)
    assert analyzer.wait(60) == 0
    assert len(reached) > 8
    assert reached == sorted(reached), "a committed batch is never lost again"
    assert len(set(reached)) > 3, "it was to be killed in the middle of its work, too"
    expect_everything(scene, outcome, batches)


@pytest.mark.parametrize("stopped_s", [6, pytest.param(10, marks=pytest.mark.long)])
def test_an_analyzer_that_stands_still_catches_up(scene: Scene, stopped_s: int) -> None:
    analyzer = scene.analyzer("--once")
    publisher = scene.publisher(batches=40 * (stopped_s + 3), step_s=0.025)
    scene.until_steps(20)
    analyzer.send_signal(signal.SIGSTOP)
    time.sleep(stopped_s)  # what is tested: so long
    analyzer.send_signal(signal.SIGCONT)
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 40 * (stopped_s + 3))


def test_leaving_a_stopped_analyzer_is_quick_and_the_journal_completes_the_run(
    scene: Scene,
) -> None:
    analyzer = scene.analyzer()
    release = scene.home / "release"
    publisher = scene.publisher(
        batches=300, close_timeout=2.0, step_s=0.005, hold=release, exit_code=7
    )
    scene.until_steps(20)
    analyzer.send_signal(signal.SIGSTOP)
    release.touch()
    outcome = scene.outcome(publisher, exit_code=7)
    assert outcome["close_s"] < 3.0
    assert not outcome["complete"]
    assert outcome["journal"] is not None
    analyzer.send_signal(signal.SIGCONT)
    scene.end(analyzer)
    scene.replay(outcome["journal"])
    found = scene.audit()
    found.expect_once(300)
    found.expect_no_gap()
    assert found.frame_count == (300, 300, 0)
    assert found.failures == {}
    assert found.status == "finished"
    assert (scene.folder / "final_summary_report.md").exists()
