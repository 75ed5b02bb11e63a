"""Being ready: each check fails for its own reason, and is well again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.checks import Check
from analyzer_service.metrics.readiness import SILENT_S, OutputProbe, Readiness, look
from analyzer_service.metrics.snapshot import Board
from tests.analyzer_service.metrics.boards import make_board, make_run

GIB = 1 << 30


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output(tmp_path: Path, clock: Clock) -> Iterator[OutputProbe]:
    made = OutputProbe(tmp_path, interval_s=3600.0, clock=clock)
    yield made
    made.close()


def open_board(clock: Clock) -> Board:
    board = make_board()
    board.clock, board.phase = clock, "open"
    board.turned()
    return board


def failing(readiness: Readiness) -> dict[str, Check]:
    found = {check.name: check for check in readiness.checks()}
    assert list(found) == ["loop", "sockets", "draining", "output", "disk", "stores", "workers"]
    for check in found.values():
        assert bool(check.why) == bool(check.to_do)  # what is wrong is said with what to do
    return {name: check for name, check in found.items() if not check.ok}


def test_an_analyzer_that_listens_is_ready(clock: Clock, output: OutputProbe) -> None:
    assert failing(Readiness(open_board(clock), output)) == {}


def test_each_phase_but_one_is_none_to_take_work_in(clock: Clock, output: OutputProbe) -> None:
    board = open_board(clock)
    readiness = Readiness(board, output)
    board.phase = "starting"
    assert list(failing(readiness)) == ["sockets"]
    board.phase = "ending"
    assert list(failing(readiness)) == ["draining"]


def test_a_loop_that_stands_still_is_not_ready(clock: Clock, output: OutputProbe) -> None:
    board = open_board(clock)
    clock.now += 6
    assert "stood still for 6 s" in failing(Readiness(board, output))["loop"].why
    board.turned()
    assert failing(Readiness(board, output)) == {}


def test_a_folder_that_does_not_answer_is_not_ready(clock: Clock, output: OutputProbe) -> None:
    board = open_board(clock)
    clock.now += SILENT_S + 1
    board.turned()
    assert "not answered for 11 s" in failing(Readiness(board, output))["output"].why


def test_too_little_room_is_not_ready(clock: Clock, output: OutputProbe) -> None:
    free = look(Path.cwd()).free_bytes
    assert free is not None
    found = failing(Readiness(open_board(clock), output, least_free_bytes=1 << 60))
    assert "less than --least-free" in found["disk"].why
    assert failing(Readiness(open_board(clock), output, least_free_bytes=1)) == {}


def test_a_store_that_fails_is_named(clock: Clock, output: OutputProbe) -> None:
    board = open_board(clock)
    board.latest = make_board(make_run("a"), make_run("b", store_failing=True)).latest
    assert failing(Readiness(board, output))["stores"].why == "results cannot be written: b"


def test_workers_that_cannot_be_had_are_not_ready(clock: Clock, output: OutputProbe) -> None:
    found = failing(Readiness(open_board(clock), output, workers_failing=lambda: True))
    assert list(found) == ["workers"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert look(tmp_path).why == "Permission denied"


def test_a_folder_that_is_gone_says_why_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    assert look(folder).why == "No such file or directory"
    folder.mkdir()
    assert look(folder).why == ""
    assert os.listdir(folder) == []


def test_the_folder_is_looked_at_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    output = OutputProbe(folder, interval_s=0.01)
    assert output.latest.why
    folder.mkdir()
    try:
        while output.latest.why:
            assert output.silent_s < 30.0
    finally:
        output.close()


def test_of_the_board_alone_what_is_not_known_is_left_out(clock: Clock) -> None:
    names = [check.name for check in Readiness(open_board(clock)).checks()]
    assert names == ["loop", "sockets", "draining", "stores", "workers"]
