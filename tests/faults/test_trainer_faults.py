"""A trainer that is killed, or that finds another in its place."""

import time
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from tests.processes.scene import Process, Scene, expect_everything

pytestmark = pytest.mark.process

FLUSH_S = 0.2
"""What may be lost of a trainer that is killed (docs/delivery.md)."""


class Progress:
    """A publisher's own word on how far it is: batch and time, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.seen: list[tuple[int, float]] = []

    def look(self) -> int:
        """Latest batch that was handed over; 0 before the first."""
        words = self._file.read_text().split() if self._file.exists() else []
        if len(words) == 2 and (not self.seen or self.seen[-1][0] != int(words[0])):
            self.seen.append((int(words[0]), int(words[1]) / 1e9))
        return self.seen[-1][0] if self.seen else 0

    def safe(self) -> int:
        """Latest batch that was seen longer ago than what a kill may cost."""
        self.look()
        return self.before(time.time() - FLUSH_S)

    def before(self, at_s: float) -> int:
        """Latest batch that was seen to be handed over before `at_s` (Unix time)."""
        return max((step for step, when_s in self.seen if when_s <= at_s), default=0)


def kill(publisher: Process, progress: Progress) -> int:
    """SIGKILL; the latest batch that must survive it."""
    killed_at_s = time.time()
    publisher.kill()
    publisher.wait()
    progress.look()
    return progress.before(killed_at_s - FLUSH_S)


def test_the_run_of_a_killed_trainer_is_failed_and_reported(scene: Scene) -> None:
    scene.analyzer("--producer-timeout", "2")
    progress = Progress(scene.home / "steps")
    publisher = scene.publisher(batches=100_000, step_s=0.01, steps=scene.home / "steps")
    scene.until_steps(20)
    scene.until(lambda: progress.safe() >= 100)
    least = kill(publisher, progress)
    scene.until((scene.folder / "final_summary_report.md").exists)
    found = scene.audit()
    assert len(found.steps) >= least >= 100
    found.expect_once(len(found.steps))
    found.expect_no_gap()
    assert found.status == "failed"


def test_a_killed_trainer_without_an_analyzer_leaves_its_journal(scene: Scene) -> None:
    progress = Progress(scene.home / "steps")
    publisher = scene.publisher(batches=100_000, step_s=0.01, steps=scene.home / "steps")
    scene.until(lambda: progress.safe() >= 200)
    least = kill(publisher, progress)
    (journal,) = scene.home.glob("*.journal.mcap")
    scene.replay(str(journal))
    found = scene.audit()
    assert len(found.steps) >= least >= 200
    found.expect_once(len(found.steps))
    found.expect_no_gap()
    assert found.status == "failed"
    report = (scene.folder / "final_summary_report.md").read_text(encoding="utf-8")
    assert "failed" in report


def test_a_second_trainer_of_one_identity_is_refused_and_records(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    first_ends, second_ends = scene.home / "first", scene.home / "second"
    first = scene.publisher("one", batches=100, hold=first_ends)
    scene.until_steps(20)
    second = scene.publisher("two", batches=30, hold=second_ends)
    scene.until(lambda: "refused" in scene.said())
    second_ends.touch()
    refused = scene.outcome(second, "two")
    first_ends.touch()
    outcome = scene.outcome(first, "one")
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 100)
    assert "already connected" in refused["refusal"]
    assert refused["close_s"] < 2.0
    assert refused["journal"] is not None
    scene.replay(refused["journal"], into="other")
    with RunReader(scene.home / "other" / "auto_analysis_bare") as reader:
        assert [row.values["global_step"] for row in reader.rows()] == list(range(1, 31))
        assert reader.books()["rank0/train"].delivered == 30
