"""What the health thread leaves in the runs' folders; by the board's known numbers."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from analyzer_service.metrics.health import MOST_PRODUCERS, HealthLog
from analyzer_service.metrics.memory import children_bytes, resident_bytes
from analyzer_service.metrics.snapshot import Board, RunCounts
from analyzer_service.sinks.health_file import FILE, parse_lines
from analyzer_service.workers.pool import WorkerCounts
from tests.analyzer_service.metrics.boards import make_board, make_producer, make_run

WORKERS = WorkerCounts(size=2, processes=3, busy=1, calls=4, lost=1)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Callable[[Board], HealthLog]]:
    """Logs of a board that write when they are asked to, and last lines as they are closed."""
    made: list[HealthLog] = []

    def start(board: Board) -> HealthLog:
        made.append(HealthLog(board, tmp_path, lambda: WORKERS, interval_s=1e6))
        return made[-1]

    yield start
    for each in made:
        each.close()


def show(board: Board, *runs: RunCounts) -> None:
    board.latest = replace(board.latest, runs=runs)


def lines_of(tmp_path: Path, name: str = "demo") -> list[dict[str, Any]]:
    return parse_lines((tmp_path / f"auto_analysis_{name}" / FILE).read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    return folder


def test_a_line_says_what_the_board_counts(
    tmp_path: Path, folder: Path, log: Callable[[Board], HealthLog]
) -> None:
    log(make_board(make_run())).look()
    (line,) = lines_of(tmp_path)
    assert line["event"] == "start"
    assert (line["ingest_lag_s"], line["work_lag_s"]) == (0.25, 1.5)
    assert (line["frames_waiting"], line["waiting_bytes"]) == (3, 1024)
    assert (line["records_uncommitted"], line["store_failing"]) == (4, False)
    assert (line["connected"], line["heard_at"]) == (1, 1_760_000_001.25)
    assert (line["trainer_waiting_bytes"], line["trainer_records_pending"]) == (4096, 6)
    assert [line[name] for name in ("offered", "delivered", "dropped", "pending")] == [40, 30, 7, 3]
    assert line["drops"] == {"queue_full": 5, "undecodable": 2}
    assert line["wandb"] == {"state": "offline", "rows": 20, "images": 2}
    assert (line["free_bytes"], line["database_bytes"], line["frames_bytes"]) == (10**9, 8192, 100)
    assert line["workers"] == {"size": 2, "processes": 3, "busy": 1, "calls": 4, "lost": 1}
    assert line["alerts"] == {"memory_growth": 1}
    assert [each["name"] for each in line["producers"]] == ["rank0"]


def test_a_run_of_many_ranks_keeps_its_lines_short(
    tmp_path: Path, folder: Path, log: Callable[[Board], HealthLog]
) -> None:
    ranks = tuple(make_producer(f"rank{i}", ingest_lag_s=i) for i in range(500))
    log(make_board(make_run(producers=ranks))).look()
    (line,) = lines_of(tmp_path)
    assert (len(line["producers"]), line["producers_left_out"]) == (MOST_PRODUCERS, 484)
    assert (line["connected"], line["ingest_lag_s"], line["offered"]) == (500, 499, 20_000)
    assert (folder / FILE).stat().st_size < 5000


def test_nothing_is_written_once_a_run_is_over(
    tmp_path: Path, folder: Path, log: Callable[[Board], HealthLog]
) -> None:
    board = make_board(make_run())
    health = log(board)
    health.look()
    health.look()
    show(board, make_run(status="finished", over=True))
    for _ in range(3):
        health.look()
    assert [line["event"] for line in lines_of(tmp_path)] == ["start", None, "end"]
    assert lines_of(tmp_path)[-1]["status"] == "finished"
    show(board, make_run())  # it is resumed
    health.look()
    assert [line["event"] for line in lines_of(tmp_path)][3:] == ["start"]


def test_an_analyzer_that_ends_says_so_of_the_runs_that_go_on(
    tmp_path: Path, folder: Path, log: Callable[[Board], HealthLog]
) -> None:
    health = log(make_board(make_run()))
    health.look()
    health.close()
    health.close()
    assert [line["event"] for line in lines_of(tmp_path)] == ["start", "stop"]


def test_a_folder_that_is_gone_harms_nothing_and_is_said_once(
    tmp_path: Path,
    folder: Path,
    log: Callable[[Board], HealthLog],
    caplog: pytest.LogCaptureFixture,
) -> None:
    health = log(make_board(make_run("gone"), make_run()))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            health.look()
    assert health.contained == 3
    assert len(caplog.records) == 1
    assert not (tmp_path / "auto_analysis_gone").exists()
    assert [line["unwritten"] for line in lines_of(tmp_path)] == [0, 1, 2]


def test_numbers_that_cannot_be_had_end_nothing(
    tmp_path: Path, folder: Path, log: Callable[[Board], HealthLog]
) -> None:
    health = log(make_board(make_run(work_lag_s=float("nan"))))
    health.look()
    assert health.contained == 1


def test_the_thread_writes_by_itself(tmp_path: Path, folder: Path) -> None:
    health = HealthLog(make_board(make_run()), tmp_path, lambda: WORKERS, interval_s=0.001)
    while not (folder / FILE).exists():
        assert health._thread.is_alive()
        health._thread.join(0.001)
    health.close()
    assert lines_of(tmp_path)[-1]["event"] == "stop"


def test_memory_is_that_of_psutil() -> None:
    me = psutil.Process()
    resident = resident_bytes(os.getpid())
    assert resident == pytest.approx(me.memory_info().rss, rel=0.1)
    assert resident_bytes(2**30) is None


def test_memory_of_children_is_that_of_their_children_too() -> None:
    code = (  # what `cat` has echoed a line of is all there: its memory grows no more
        "import subprocess, sys; PIPE = subprocess.PIPE; "
        "p = subprocess.Popen(['cat'], stdin=PIPE, stdout=PIPE, bufsize=0); "
        "p.stdin.write(b'x\\n'); p.stdout.readline(); print(p.pid, flush=True); "
        "sys.stdin.read(); p.kill(); p.wait()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    expected = sum(psutil.Process(pid).memory_info().rss for pid in (child.pid, grandchild))
    assert children_bytes(child.pid) == psutil.Process(grandchild).memory_info().rss
    both = children_bytes(os.getpid())
    child.stdin.close()
    child.wait()
    child.stdout.close()
    if both is None:
        pytest.skip("this kernel lists no children")
    assert both >= 0.9 * expected
