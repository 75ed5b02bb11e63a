"""Disks that are full for a while and for good, on either side."""

import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.processes.disk import SmallDisk
from tests.processes.scene import Process, Scene, expect_everything

pytestmark = pytest.mark.process

BATCHES = 300
LARGE = 256
"""Side of a tile whose frame takes 384 KiB; the disk has 16 MiB."""
NOT_COMMITTED = "nothing is acknowledged until they can"
NOT_OPENED = "cannot be received yet"
NOT_WRITTEN = ".mcap cannot be written ("


class Run:
    """A publisher that ends when it is told to, and an analyzer, in one scene."""

    def __init__(self, scene: Scene, disk: SmallDisk) -> None:
        self.scene = scene
        self.disk = disk
        self._release = scene.home / "release"
        self._steps = scene.home / "steps"

    def analyzer_on_disk(self, *options: str) -> Process:
        """Start an analyzer whose runs are on the small disk."""
        self.scene.folder = self.disk.folder / "runs" / "auto_analysis_bare"
        analyzer = self.scene.analyzer(*options, runs=self.disk.folder / "runs")
        self.scene.until_listening(analyzer)
        return analyzer

    def publisher(self, **options: object) -> Process:
        """Start a publisher of `BATCHES` batches."""
        given = {"batches": BATCHES, "step_s": 0.01, "close_timeout": 60}
        return self.scene.publisher(
            **(given | options), steps=self._steps, hold=self._release, exit_code=7
        )

    def until_all_handed_over(self, batches: int = BATCHES) -> None:
        """Wait for the last step of the training."""
        last = f"{batches} "
        self.scene.until(lambda: self._steps.exists() and self._steps.read_text().startswith(last))

    def until_said(self, words: str) -> None:
        """Wait until any process has said `words`."""
        self.scene.until(lambda: words in self.scene.said())

    def close(self, publisher: Process) -> dict[str, Any]:
        """Let the publisher end; its exit code is its own all the same."""
        self._release.touch()
        return self.scene.outcome(publisher, exit_code=7, deadline_s=90)


@pytest.fixture
def run(scene: Scene, disk: SmallDisk) -> Run:
    return Run(scene, disk)


def committed(folder: Path) -> int:
    """Records that the database of a run holds."""
    with closing(sqlite3.connect(folder / "metrics.sqlite", timeout=30)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    return int(count)


def expect_whole_database(folder: Path) -> None:
    """SQLite's own check finds nothing wrong."""
    with closing(sqlite3.connect(folder / "metrics.sqlite", timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_that_is_full_for_a_while_costs_nothing(run: Run) -> None:
    analyzer = run.analyzer_on_disk("--once")
    publisher = run.publisher()
    run.scene.until_steps(20)
    run.disk.fill()
    run.until_said(NOT_COMMITTED)
    held = committed(run.scene.folder)
    run.until_all_handed_over()
    run.scene.until(lambda: list(run.scene.home.glob("*.journal.mcap")))
    assert committed(run.scene.folder) == held < BATCHES
    run.disk.free()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, BATCHES)
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count(NOT_COMMITTED) == 1


def test_files_that_may_not_grow_for_a_while_cost_nothing(scene: Scene) -> None:
    # What a quota does, and what any machine allows a test to do: the kernel's EFBIG is for
    # SQLite an error of its own kind, other than a full disk.
    analyzer = scene.analyzer("--once")
    scene.until_listening(analyzer)
    release, steps = scene.home / "release", scene.home / "steps"
    publisher = scene.publisher(
        batches=BATCHES, step_s=0.01, steps=steps, hold=release, close_timeout=30
    )
    scene.until_steps(20)
    before = resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    scene.until(lambda: NOT_COMMITTED in scene.said())
    held = committed(scene.folder)
    scene.until(lambda: steps.read_text().startswith(f"{BATCHES} "))
    assert committed(scene.folder) == held < BATCHES
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, before)
    release.touch()
    outcome = scene.outcome(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(scene, outcome, BATCHES)
    expect_whole_database(scene.folder)


def test_what_a_disk_never_took_is_in_the_journal(run: Run) -> None:
    analyzer = run.analyzer_on_disk()
    publisher = run.publisher(close_timeout=2)
    run.scene.until_steps(20)
    run.disk.fill()
    run.until_said(NOT_COMMITTED)
    run.until_all_handed_over()
    outcome = run.close(publisher)
    assert outcome["close_s"] < 3.0
    assert not outcome["complete"]
    expect_pending(outcome, committed(run.scene.folder))
    run.scene.end(analyzer)
    expect_whole_database(run.scene.folder)
    replay_elsewhere(run, outcome["journal"])
    found = run.scene.audit()
    found.expect_once(BATCHES)
    found.expect_no_gap()
    assert found.frame_count == (BATCHES, BATCHES, 0)
    assert found.status == "finished"


def expect_pending(outcome: dict[str, Any], committed: int) -> None:
    """The publisher's books balance, and say that all but what is committed is to come."""
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    assert records["committed"] == committed < BATCHES
    assert records["lost"] == 0
    assert records["offered"] == records["committed"] + records["pending"]
    assert frames["offered"] == BATCHES
    assert frames["offered"] == frames["delivered"] + frames["dropped"] + frames["pending"]


def replay_elsewhere(run: Run, journal: str) -> None:
    """Take what is there to another disk, and replay the journal into it."""
    folder = run.scene.home / "elsewhere" / "auto_analysis_bare"
    shutil.copytree(run.scene.folder, folder)
    run.scene.replay(journal, into="elsewhere")
    run.scene.folder = folder


@pytest.mark.long
def test_a_run_that_begins_on_a_full_disk_is_received_later(run: Run) -> None:
    run.disk.fill()
    analyzer = run.analyzer_on_disk("--once")
    publisher = run.publisher()
    run.until_said(NOT_OPENED)
    run.until_all_handed_over()
    run.disk.free()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, BATCHES)
    assert run.scene.said().count(NOT_OPENED) == 1


@pytest.mark.long
def test_an_analyzer_killed_on_a_full_disk_goes_on_when_there_is_room(run: Run) -> None:
    analyzer = run.analyzer_on_disk("--once")
    publisher = run.publisher()
    run.scene.until_steps(20)
    run.disk.fill()
    run.until_said(NOT_COMMITTED)
    analyzer.kill()
    analyzer.wait()
    analyzer = run.analyzer_on_disk("--once")
    run.until_said(NOT_OPENED)
    run.until_all_handed_over()
    run.disk.free()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, BATCHES)
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count(NOT_OPENED) == 1


@pytest.mark.long
def test_a_recording_never_takes_the_disk_from_the_run(run: Run) -> None:
    run.disk.resize(32)
    analyzer = run.analyzer_on_disk("--once", "--record")
    # 1.5 MiB a frame; an eighth of the disk is not for the recording.
    publisher = run.publisher(batches=40, size=512)
    run.until_said("recording stops here, the run goes on")
    run.until_all_handed_over(40)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, 40)
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count("recording stops here") == 1
    assert NOT_COMMITTED not in run.scene.said()
    steps = replayed_steps(run.scene, run.scene.folder / "stream.mcap")
    assert 10 < len(steps) < 40, "what was recorded before can be replayed"


def replayed_steps(scene: Scene, recording: Path) -> list[int]:
    """Steps of a recording that ends before the run did: all up to some one."""
    scene.replay(str(recording), into="again")
    scene.folder = scene.home / "again" / "auto_analysis_bare"
    steps = scene.steps()
    assert steps == list(range(1, len(steps) + 1))
    return steps


@pytest.mark.long
def test_records_wait_in_memory_while_the_journals_disk_is_full(run: Run) -> None:
    run.disk.fill()
    publisher = run.publisher(journal_dir=run.disk.folder)
    run.until_all_handed_over()
    assert NOT_WRITTEN in run.scene.said()
    analyzer = run.scene.analyzer("--once")
    run.scene.until_steps(1)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, BATCHES)
    assert run.scene.said().count(NOT_WRITTEN) == 1


@pytest.mark.long
def test_what_neither_memory_nor_disk_takes_is_counted_and_named(run: Run) -> None:
    scene, batches = run.scene, 3000
    run.disk.fill()
    publisher = run.publisher(
        batches=batches, step_s=0.001, unacked_mib=1, journal_dir=run.disk.folder
    )
    run.until_all_handed_over(batches)
    analyzer = scene.analyzer("--once")
    scene.until_steps(1)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    steps = scene.steps()
    assert steps == sorted(set(steps)), "each batch that is there is there once, in order"
    lost = batches - len(steps)
    assert lost > 1000
    assert outcome["books"]["records"] == {
        "offered": batches + 2,  # the run's start and end, too
        "committed": batches + 2 - lost,
        "lost": lost,
        "pending": 0,
    }
    expect_named_loss(scene, outcome, lost)


def expect_named_loss(scene: Scene, outcome: dict[str, Any], lost: int) -> None:
    """The report tells what the trainer lost; every frame is there, and both books say so."""
    report = (scene.folder / "final_summary_report.md").read_text(encoding="utf-8")
    assert f"**{lost:,} were lost by the trainer**" in report
    found = scene.audit()
    assert found.missing_records == {("rank0", 1): []}
    (frames,) = found.frames.values()
    frame_books = outcome["totals"]["train"]
    assert len(frames.arrived) == frame_books["delivered"] == frame_books["offered"]
    (told,) = found.books.values()
    assert told == tuple(
        frame_books[name] for name in ("offered", "delivered", "dropped", "pending")
    )
    assert found.failures == {}
    assert found.status == "finished"


def test_leaving_with_nowhere_to_write_is_quick_and_counted(run: Run) -> None:
    run.disk.fill()
    publisher = run.publisher(batches=100, journal_dir=run.disk.folder, close_timeout=5)
    run.until_all_handed_over(100)
    outcome = run.close(publisher)
    assert outcome["close_s"] < 6.0
    assert outcome["journal"] is None
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    assert records["offered"] == records["lost"] >= 102  # the run's start and end, too
    assert frames == {"offered": 100, "delivered": 0, "dropped": 100, "pending": 0}
    assert run.scene.said().count(NOT_WRITTEN) == 1


def test_a_trainers_recording_on_a_full_disk_costs_only_itself(run: Run) -> None:
    analyzer = run.scene.analyzer("--once")
    run.scene.until_listening(analyzer)
    recording = run.disk.folder / "all.mcap"
    publisher = run.publisher(batches=120, size=LARGE, record=recording)
    run.until_all_handed_over(120)
    assert NOT_WRITTEN in run.scene.said()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    assert outcome.pop("journal") == str(recording)
    expect_everything(run.scene, outcome | {"journal": None}, 120)


def test_a_recording_alone_on_a_full_disk_counts_what_it_lacks(run: Run) -> None:
    run.scene.endpoint = ""
    recording = run.disk.folder / "all.mcap"
    publisher = run.publisher(batches=120, size=LARGE, queue_mib=8, record=recording)
    run.until_all_handed_over(120)
    outcome = run.close(publisher)
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    assert not outcome["complete"]
    assert records["offered"] == records["committed"] + records["lost"] + records["pending"]
    assert frames["offered"] == frames["delivered"] + frames["dropped"] == 120
    steps = replayed_steps(run.scene, recording)
    # What was cut off its last chunk counts as lost; a chunk that was whole by then, as well.
    assert records["committed"] <= 1 + len(steps) <= records["committed"] + 16
    assert records["lost"] >= 120 - len(steps) > 50
