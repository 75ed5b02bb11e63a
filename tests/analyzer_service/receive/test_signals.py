"""A process that is not through in time ends all the same, and says so."""

import logging
import os
import signal
import threading

import pytest
from typer.testing import CliRunner

from analyzer_service.cli import app
from analyzer_service.receive.signals import Deadline, ended_by_signals


def test_what_is_not_through_in_time_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    over = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        over.set()

    deadline = Deadline(0.01, end)
    with caplog.at_level(logging.WARNING):
        deadline.start(143)
        assert over.wait(30.0)
    assert codes == [143]
    assert "not through within --grace 0.01 s" in caplog.text


def test_what_is_through_in_time_is_left_alone() -> None:
    over = threading.Event()
    deadline = Deadline(3600.0, lambda _: over.set())
    deadline.start(143)
    deadline.close()
    assert not over.is_set()
    Deadline(1.0).close()  # never started


def test_the_first_signal_asks_to_stop_and_handlers_are_given_back() -> None:
    stopped = threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    deadline = Deadline(3600.0, lambda _: None)
    with ended_by_signals(stopped.set, deadline):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.wait(30.0)
    deadline.close()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_replay_that_is_stopped_says_so_by_its_exit_code(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = threading.Event()

    def replay(*_: object) -> list[str]:
        os.kill(os.getpid(), number)
        assert not asked.wait(30.0)  # the signal comes first
        return []

    monkeypatch.setattr("analyzer_service.receive.replaying.replay_files", replay)
    before = signal.getsignal(number)
    done = CliRunner().invoke(app, ["replay", "x.mcap"])
    assert done.exit_code == 128 + number
    assert "the same command goes on from here" in caplog.text
    assert signal.getsignal(number) == before
