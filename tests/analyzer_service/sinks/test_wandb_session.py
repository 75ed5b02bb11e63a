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
