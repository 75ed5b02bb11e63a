"""Floods against small bounds: memory and journal stay below them, and what is lost is counted."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.processes.scene import Scene, expect_every_batch

pytestmark = pytest.mark.process

MIB = 1 << 20
BOUNDS: dict[str, object] = {"capture_mib": 4, "queue_mib": 8, "unacked_mib": 4}
BOUNDS_MIB = 4 + 8 + 2 * 4  # records may lie twice: in the inbox, and numbered
# ZeroMQ copies what is on its way (half of the queue); the rest is stacks, buffers of a frame
# that is written, and what the allocator keeps.
ALLOWANCE_MIB = 4 + 16
# 128 x 128 pixels, input and reconstruction: 96 KiB a frame, 30 times what the bounds hold.
FLOOD: dict[str, object] = {"batches": 6000, "size": 128, "step_s": 0.001}


def expect_bounded(outcome: dict[str, Any]) -> None:
    print(outcome["memory"], outcome["totals"], outcome["records_lost"])
    assert outcome["memory"]["grown_mib"] < BOUNDS_MIB + ALLOWANCE_MIB
    book = outcome["totals"]["train"]
    assert book["offered"] == book["delivered"] + book["dropped"] + book["pending"]
    assert book["dropped"] > 1000, "the flood was to go beyond the bounds"


@pytest.mark.long
def test_a_flood_with_nobody_there_stays_below_the_bounds(scene: Scene) -> None:
    publisher = scene.publisher(**FLOOD, **BOUNDS, journal_mib=32, close_timeout=5)
    outcome = scene.outcome(publisher)
    expect_bounded(outcome)
    assert outcome["records_lost"] == 0
    journal = Path(outcome["journal"])
    size_mib = (scene.home / journal).stat().st_size / MIB
    assert 8 < size_mib <= 32, "frames take a quarter, records what they need"
    scene.replay(str(journal))
    scene.audit().expect_once(6000)


@pytest.mark.long
def test_a_full_journal_and_full_memory_lose_records_and_say_so(scene: Scene) -> None:
    bounds = BOUNDS | {"unacked_mib": 1}
    publisher = scene.publisher(**FLOOD, **bounds, journal_mib=1, close_timeout=5)
    outcome = scene.outcome(publisher)
    expect_bounded(outcome)
    journal = Path(outcome["journal"])
    assert (scene.home / journal).stat().st_size <= MIB
    scene.replay(str(journal))
    steps = scene.steps()
    assert steps == list(range(1, len(steps) + 1))
    assert 1000 < len(steps) < 6000
    records = outcome["books"]["records"]
    assert records["lost"] > 1000
    assert len(steps) < records["pending"] < 6000, "what is pending is in the journal"
    assert records["offered"] == records["pending"] + records["lost"]
    assert "journal_mib" in scene.said()


def test_a_flood_toward_a_stopped_analyzer_stays_below_the_bounds(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    scene.until_listening(analyzer)
    publisher = scene.publisher(**FLOOD, **BOUNDS, journal_mib=32, close_timeout=30)
    scene.until_steps(20)
    analyzer.send_signal(signal.SIGSTOP)
    scene.until(lambda: "is silent" in scene.log_of(publisher).read_text())
    analyzer.send_signal(signal.SIGCONT)
    outcome = scene.outcome(publisher)
    expect_bounded(outcome)
    assert analyzer.wait(60) == 0
    expect_every_batch(scene, outcome, 6000)
