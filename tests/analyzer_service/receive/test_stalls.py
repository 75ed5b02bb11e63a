"""Trainers that stand still while they are connected, by a clock of the test's own."""

import logging

import pytest

from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.pipeline import Origin
from analyzer_service.receive.stalls import Stalls

RANK0, RANK1 = Origin("rank0", 1), Origin("rank1", 1)
SETTINGS = AlertSettings.model_validate({"stalled": {"seconds": 60, "times": 20}})


def trained(stalls: Stalls, *, every_s: float = 0.5, batches: int = 20) -> float:
    """Clock after so many batches of both ranks."""
    now = 0.0
    for _ in range(batches):
        now += every_s
        for origin in (RANK0, RANK1):
            stalls.batch(origin)
        stalls.look([RANK0, RANK1], now)
    return now


def test_silence_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stalls = Stalls("demo", SETTINGS)
    now = trained(stalls)
    for later in (10.0, 59.0, 61.0, 200.0):
        stalls.batch(RANK1)
        stalls.look([RANK0, RANK1], now + later)
    assert list(stalls.standing) == [RANK0]
    for origin in (RANK0, RANK1):
        stalls.batch(origin)
    stalls.look([RANK0, RANK1], now + 300.0)
    assert stalls.standing == {}
    assert [record.getMessage() for record in caplog.records] == [
        "demo: rank0 is connected, but its last batch came 61 s ago; 0.5 s between batches are "
        "usual",
        "demo: batches of rank0 come again, after 300 s",
    ]


def test_slow_batches_may_take_longer() -> None:
    stalls = Stalls("demo", SETTINGS)
    now = trained(stalls, every_s=10.0)
    stalls.look([RANK0, RANK1], now + 190.0)
    assert stalls.standing == {}
    stalls.look([RANK0, RANK1], now + 210.0)
    assert set(stalls.standing) == {RANK0, RANK1}


def test_of_who_is_lost_or_has_ended_nothing_is_expected() -> None:
    stalls = Stalls("demo", SETTINGS)
    now = trained(stalls)
    stalls.look([RANK1], now + 1.0)
    stalls.look([RANK1], now + 100.0)
    assert list(stalls.standing) == [RANK1]
    stalls.look([], now + 101.0)
    assert stalls.standing == {}


def test_time_that_this_process_stood_still_is_nobodys_silence() -> None:
    stalls = Stalls("demo", SETTINGS)
    now = trained(stalls)
    stalls.forgive(500.0)
    stalls.look([RANK0, RANK1], now + 510.0)
    assert stalls.standing == {}


def test_what_is_usual_must_be_known_first() -> None:
    stalls = Stalls("demo", SETTINGS)
    stalls.batch(RANK0)
    for now in (1.0, 1000.0):
        stalls.look([RANK0], now)
    assert stalls.standing == {}


def test_it_can_be_off() -> None:
    stalls = Stalls("demo", AlertSettings(off=("stalled",)))
    now = trained(stalls)
    stalls.look([RANK0], now + 1000.0)
    assert stalls.standing == {}
