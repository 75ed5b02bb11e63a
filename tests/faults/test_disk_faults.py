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

SOME, MORE = 20, 100
LARGE = 256
"""Side of a tile whose frame takes 384 KiB; the disk has 16 MiB."""
NOT_COMMITTED = "nothing is acknowledged until they can"
NOT_OPENED = "cannot be received yet"
NOT_WRITTEN = ".mcap cannot be written ("


class Run:
    """A publisher that goes on until it is told to end, and an analyzer, in one scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._end = scene.home / "end"
        self._steps = scene.home / "steps"

    def analyzer(self, *options: str, runs: Path | None = None) -> Process:
        """Start an analyzer, whose runs are in the folder `runs`."""
        if runs is not None:
            self.scene.folder = runs / "auto_analysis_bare"
        analyzer = self.scene.analyzer(*options, runs=runs or "runs")
        self.scene.until_listening(analyzer)
        return analyzer

    def publisher(self, **options: object) -> Process:
        """Start a publisher."""
        given = {"batches": 1_000_000, "step_s": 0.01, "close_timeout": 60}
        return self.scene.publisher(
            **(given | options), steps=self._steps, until=self._end, exit_code=7
        )

    def until_handed_over(self, batches: int) -> None:
        """Wait until so many batches are handed over."""
        self.scene.until(lambda: self._handed_over() >= batches)

    def until_more(self) -> None:
        """Wait until some more batches are handed over than are now."""
        self.until_handed_over(self._handed_over() + MORE)

    def until_committed(self, least: int) -> None:
        """Wait until so many records are committed."""
        self.scene.until(lambda: committed(self.scene.folder) >= least)

    def until_said(self, words: str) -> None:
        """Wait until any process has said `words`."""
        self.scene.until(lambda: words in self.scene.said())

    def close(self, publisher: Process) -> dict[str, Any]:
        """Let the publisher end; its exit code is its own all the same."""
        self._end.touch()
        return self.scene.outcome(publisher, exit_code=7, deadline_s=90)

    def _handed_over(self) -> int:
        if not self._steps.exists():
            return 0
        while not (words := self._steps.read_text().split()):
            pass  # it is being written
        return int(words[0])


@pytest.fixture
def run(scene: Scene) -> Run:
    return Run(scene)


def committed(folder: Path) -> int:
    """Records that the database of a run holds; none before it is made."""
    try:
        with closing(sqlite3.connect(folder / "metrics.sqlite", timeout=30)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def expect_whole_database(folder: Path) -> None:
    """SQLite's own check finds nothing wrong."""
    with closing(sqlite3.connect(folder / "metrics.sqlite", timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_that_is_full_for_a_while_costs_nothing(run: Run, disk: SmallDisk) -> None:
    analyzer = run.analyzer("--once", runs=disk.folder / "runs")
    publisher = run.publisher()
    run.until_committed(SOME)
    disk.fill()
    expect_nothing_acknowledged(run)
    assert list(run.scene.home.glob("*.journal.mcap")), "what waits was to stand in a file"
    disk.free()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, outcome["batches"])
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count(NOT_COMMITTED) == 1


def test_files_that_may_not_grow_for_a_while_cost_nothing(run: Run) -> None:
    # What a quota does, and what any machine allows a test to do: the kernel's EFBIG is for
    # SQLite an error of its own kind, other than a full disk.
    analyzer = run.analyzer("--once")
    publisher = run.publisher()
    run.until_committed(SOME)
    before = resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    expect_nothing_acknowledged(run)
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, before)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, outcome["batches"])
    expect_whole_database(run.scene.folder)


def expect_nothing_acknowledged(run: Run) -> None:
    """The analyzer says that it cannot write, and training goes on without it."""
    run.until_said(NOT_COMMITTED)
    held = committed(run.scene.folder)
    run.until_more()
    assert committed(run.scene.folder) == held


def test_what_a_disk_never_took_is_in_the_journal(run: Run, disk: SmallDisk) -> None:
    analyzer = run.analyzer(runs=disk.folder / "runs")
    publisher = run.publisher(close_timeout=2)
    run.until_committed(SOME)
    disk.fill()
    expect_nothing_acknowledged(run)
    outcome = run.close(publisher)
    assert outcome["close_s"] < 4.0
    assert not outcome["complete"]
    expect_pending(outcome, committed(run.scene.folder))
    run.scene.end(analyzer)
    expect_whole_database(run.scene.folder)
    replay_elsewhere(run, outcome["journal"])
    batches = outcome["batches"]
    found = run.scene.audit()
    found.expect_once(batches)
    found.expect_no_gap()
    assert found.frame_count == (batches, batches, 0)
    assert found.status == "finished"


def expect_pending(outcome: dict[str, Any], committed: int) -> None:
    """The publisher's books balance, and say that all but what is committed is to come."""
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    assert records["committed"] == committed
    assert records["pending"] >= MORE
    assert records["lost"] == 0
    assert records["offered"] == records["committed"] + records["pending"]
    assert frames["offered"] == outcome["batches"]
    assert frames["offered"] == frames["delivered"] + frames["dropped"] + frames["pending"]


def replay_elsewhere(run: Run, journal: str) -> None:
    """Take what is there to another disk, and replay the journal into it."""
    folder = run.scene.home / "elsewhere" / "auto_analysis_bare"
    shutil.copytree(run.scene.folder, folder)
    run.scene.replay(journal, into="elsewhere")
    run.scene.folder = folder


@pytest.mark.long
def test_a_run_that_begins_on_a_full_disk_is_received_later(run: Run, disk: SmallDisk) -> None:
    disk.fill()
    analyzer = run.analyzer("--once", runs=disk.folder / "runs")
    publisher = run.publisher()
    run.until_said(NOT_OPENED)
    run.until_more()
    disk.free()
    run.until_committed(SOME)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, outcome["batches"])
    assert run.scene.said().count(NOT_OPENED) == 1


@pytest.mark.long
def test_an_analyzer_killed_on_a_full_disk_goes_on_when_there_is_room(
    run: Run, disk: SmallDisk
) -> None:
    analyzer = run.analyzer("--once", runs=disk.folder / "runs")
    publisher = run.publisher()
    run.until_committed(SOME)
    disk.fill()
    run.until_said(NOT_COMMITTED)
    analyzer.kill()
    analyzer.wait()
    analyzer = run.analyzer("--once", runs=disk.folder / "runs")
    run.until_said(NOT_OPENED)
    run.until_more()
    disk.free()
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, outcome["batches"])
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count(NOT_OPENED) == 1


@pytest.mark.long
def test_a_recording_never_takes_the_disk_from_the_run(run: Run, disk: SmallDisk) -> None:
    disk.resize(32)
    analyzer = run.analyzer("--once", "--record", runs=disk.folder / "runs")
    # 1.5 MiB a frame; an eighth of the disk is not for the recording.
    publisher = run.publisher(batches=40, size=512)
    run.until_said("recording stops here, the run goes on")
    outcome = run.scene.outcome(publisher, exit_code=7, deadline_s=90)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, 40)
    expect_whole_database(run.scene.folder)
    assert run.scene.said().count("recording stops here, the run goes on") == 1
    assert NOT_COMMITTED not in run.scene.said()
    replay_what_is_there(run.scene, run.scene.folder / "stream.mcap")
    (frames,) = run.scene.audit().frames.values()
    assert 5 < len(frames.arrived) < 40


def replay_what_is_there(scene: Scene, recording: Path) -> list[int]:
    """Steps of a recording that ends before the run did: all up to some one."""
    scene.replay(str(recording), into="again")
    scene.folder = scene.home / "again" / "auto_analysis_bare"
    steps = scene.steps()
    assert steps == list(range(1, len(steps) + 1))
    return steps


@pytest.mark.long
def test_records_wait_in_memory_while_the_journals_disk_is_full(run: Run, disk: SmallDisk) -> None:
    disk.fill()
    publisher = run.publisher(journal_dir=disk.folder)
    run.until_said(NOT_WRITTEN)
    run.until_more()
    analyzer = run.analyzer("--once")
    run.until_committed(SOME)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    expect_everything(run.scene, outcome, outcome["batches"])
    assert run.scene.said().count(NOT_WRITTEN) == 1


@pytest.mark.long
def test_what_neither_memory_nor_disk_takes_is_counted_and_named(run: Run, disk: SmallDisk) -> None:
    disk.fill()
    publisher = run.publisher(step_s=0.001, unacked_mib=1, journal_dir=disk.folder)
    run.until_handed_over(3000)  # 1370 fit
    analyzer = run.analyzer("--once")
    run.until_committed(SOME)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    steps = run.scene.steps()
    assert steps == sorted(set(steps)), "each batch that is there is there once, in order"
    lost = outcome["batches"] - len(steps)
    assert lost > 1000
    handed_over = outcome["batches"] + 2  # the run's start and end, too
    assert outcome["books"]["records"] == {
        "offered": handed_over,
        "committed": handed_over - lost,
        "lost": lost,
        "pending": 0,
    }
    expect_named_loss(run.scene, outcome, lost)


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


def test_leaving_with_nowhere_to_write_is_quick_and_counted(run: Run, disk: SmallDisk) -> None:
    disk.fill()
    publisher = run.publisher(journal_dir=disk.folder, close_timeout=5)
    run.until_said(NOT_WRITTEN)
    outcome = run.close(publisher)
    assert outcome["close_s"] < 7.0
    assert outcome["journal"] is None
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    batches = outcome["batches"]
    assert records["offered"] == records["lost"] >= batches + 2  # the run's start and end, too
    assert frames == {"offered": batches, "delivered": 0, "dropped": batches, "pending": 0}
    assert run.scene.said().count(NOT_WRITTEN) == 1


def test_a_trainers_recording_on_a_full_disk_costs_only_itself(run: Run, disk: SmallDisk) -> None:
    recording = disk.folder / "all.mcap"
    analyzer = run.analyzer("--once")
    publisher = run.publisher(size=LARGE, record=recording)
    run.until_said(NOT_WRITTEN)
    outcome = run.close(publisher)
    assert analyzer.wait(60) == 0
    assert outcome.pop("journal") == str(recording)
    expect_everything(run.scene, outcome | {"journal": None}, outcome["batches"])


def test_a_recording_alone_on_a_full_disk_counts_what_it_lacks(run: Run, disk: SmallDisk) -> None:
    run.scene.endpoint = ""
    recording = disk.folder / "all.mcap"
    publisher = run.publisher(size=LARGE, queue_mib=8, record=recording)
    run.until_said(NOT_WRITTEN)
    run.until_more()
    outcome = run.close(publisher)
    records, frames = outcome["books"]["records"], outcome["totals"]["train"]
    assert not outcome["complete"]
    assert records["offered"] == records["committed"] + records["lost"] + records["pending"]
    assert frames["offered"] == frames["delivered"] + frames["dropped"] == outcome["batches"]
    steps = replay_what_is_there(run.scene, recording)
    # What was cut off its last chunk counts as lost; a chunk that was whole by then, as well.
    assert records["committed"] <= 1 + len(steps) <= records["committed"] + 16
    assert records["lost"] >= outcome["batches"] - len(steps) >= MORE
