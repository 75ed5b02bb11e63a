"""Where logging to W&B goes on after its process failed, with a process of the test's own."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.sinks import wandb_session
from analyzer_service.sinks.wandb_feed import Position
from analyzer_service.sinks.wandb_session import Session
from shared.errors import SinkError


class Clock:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class ScriptedLink:
    """Logs ten rows an `advance`, at 1 s each, until it is told to fail."""

    def __init__(self, folder: Path, clock: Clock, *, ends_by_itself: bool) -> None:
        self._directory = folder / "wandb" / "offline-run-1"
        self._clock = clock
        self._ends_by_itself = ends_by_itself
        self.last = 0
        self.grace_s = math.nan

    def ask(self, request: dict[str, Any], *, until: Callable[[], float]) -> dict[str, Any]:
        if request["do"] == "start":
            return {"url": None, "directory": str(self._directory)}
        before = Position.of(request["position"])
        if before.release >= self.last:
            raise SinkError("gone")
        self._clock.now += 1.0
        after = replace(before, release=before.release + 10, rows=before.rows + 10)
        return {"position": asdict(after), "more": True, "missing": 0}

    def kill(self, grace_s: float) -> bool:
        self.grace_s = grace_s
        return self._ends_by_itself


def fail_after(
    rows: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *, ends_by_itself: bool
) -> tuple[Position, ScriptedLink]:
    """Position after a process that failed behind `rows` rows; no other is started."""
    (folder / "wandb").mkdir(parents=True)
    clock = Clock()
    link = ScriptedLink(folder, clock, ends_by_itself=ends_by_itself)
    link.last = rows
    monkeypatch.setattr(wandb_session, "time", clock)
    monkeypatch.setattr(wandb_session, "Link", lambda _: link)
    monkeypatch.setattr(wandb_session, "MAX_RESTARTS", 0)

    def deadline(limit_s: float, _share: float) -> Callable[[], float]:
        until = clock.now + limit_s
        return lambda: until

    session = Session(folder, "offline", "p", deadline=deadline)
    session.catch_up()
    return session.position, link


def test_a_process_that_ended_by_itself_has_written_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, link = fail_after(100, folder, monkeypatch, ends_by_itself=True)
    assert (position.release, position.rows) == (100, 100)
    assert link.grace_s > 2.0


def test_rows_that_a_killed_process_may_have_held_are_logged_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, _ = fail_after(100, folder, monkeypatch, ends_by_itself=False)
    # The last 3 s, three flushes: what came at 1 s each before them is on disk.
    assert (position.release, position.rows) == (70, 70)
    assert position.directories == ("wandb/offline-run-1",), "what is there stays there"
    assert Position.load(folder / "wandb" / wandb_session.POSITION_NAME) == position


def test_of_a_short_life_everything_is_logged_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, _ = fail_after(20, folder, monkeypatch, ends_by_itself=False)
    assert (position.release, position.rows) == (0, 0)


def test_a_process_that_logged_nothing_gets_no_time_to_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, link = fail_after(0, folder, monkeypatch, ends_by_itself=False)
    assert position.rows == 0
    assert link.grace_s == 0.0


class Failing(ScriptedLink):
    """Cannot start while `down`; then logs all of its hundred rows at once."""

    down = True
    starts = 0

    def ask(self, request: dict[str, Any], *, until: Callable[[], float]) -> dict[str, Any]:
        if request["do"] == "start":
            self.starts += 1
            if self.down:
                raise SinkError("out of memory")
            return super().ask(request, until=until)
        if request["do"] == "finish":
            return {}
        position = replace(Position.of(request["position"]), release=100, rows=100)
        return {"position": asdict(position), "more": False, "missing": 0}


@pytest.fixture
def failing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Session, Failing, Clock]:
    """A session whose processes cannot start; it has tried as often as it does in a row."""
    (folder / "wandb").mkdir(parents=True)
    clock = Clock()
    link = Failing(folder, clock, ends_by_itself=True)
    monkeypatch.setattr(wandb_session, "time", clock)
    monkeypatch.setattr(wandb_session, "Link", lambda _: link)
    session = Session(folder, "offline", "p", deadline=lambda _limit, _share: lambda: math.inf)
    session.catch_up()
    return session, link, clock


def test_it_is_tried_again_after_a_while(failing: tuple[Session, Failing, Clock]) -> None:
    session, link, clock = failing
    assert (session.given_up, link.starts) == (True, 1 + wandb_session.MAX_RESTARTS)

    clock.now += wandb_session.RETRY_AFTER_S - 1
    session.catch_up()
    assert link.starts == 1 + wandb_session.MAX_RESTARTS, "not before its time"

    clock.now += 1
    session.catch_up()
    assert (session.given_up, link.starts) == (True, 2 + wandb_session.MAX_RESTARTS)

    link.down = False
    clock.now += wandb_session.RETRY_AFTER_S
    session.catch_up()
    assert (session.given_up, session.position.rows) == (False, 100)


def test_the_end_is_a_last_chance(failing: tuple[Session, Failing, Clock]) -> None:
    session, link, _ = failing
    session.finish()
    assert (session.position.rows, link.starts) == (0, 2 + wandb_session.MAX_RESTARTS)

    link.down = False
    session.finish()
    assert (session.position.rows, session.complete) == (100, True)


def test_failures_far_apart_are_no_row(failing: tuple[Session, Failing, Clock]) -> None:
    session, link, clock = failing
    link.down = False
    clock.now += wandb_session.RETRY_AFTER_S
    session.catch_up()

    clock.now += 3600.0
    session._failed("killed")

    assert not session.given_up
