"""One analyzer and 20 trainers, of which one floods it with frames."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.workers import PoolWorkers
from shared.transport.addresses import Address
from tests.analyzer_service.receive.running import DEADLINE_S, STUBS, Running, analyzer
from tests.processes.publishing import describe
from trainer.publish import Publisher, PublishSettings

TRAINERS = 20
FLOODER = 1
FRAMES = {number: 200 if number == FLOODER else 5 for number in range(1, TRAINERS + 1)}


def start(number: int, address: Address, folder: Path) -> Publisher:
    return Publisher.start(
        describe(f"trainer-{number}"),
        endpoint=address.ctl.removesuffix(".ctl"),
        settings=PublishSettings(journal_dir=folder),
    )


def publish(publisher: Publisher, number: int, step: int) -> None:
    """Images that say whose they are, and a loss that says of whom and when."""
    image = np.full((1, 16, 16, 3), number, dtype=np.uint8)
    publisher.batch(
        phase="train",
        epoch=0,
        batch_idx=step - 1,
        global_step=step,
        loss=number + step / 1000,
        input=image,
        reconstruction=image,
        attention={"bam_2": np.full((1, 4, 4), 0.5, dtype=np.float32)},
    )


def wait_for_frames(running: Running, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (waiting := sum(run.pipeline.frames_waiting for run in running.loop.runs)) < count:
        assert time.monotonic() < deadline, f"{waiting} of {count} frames came"
        time.sleep(0.01)


def test_a_flood_of_frames_of_one_run_delays_no_other(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the one worker is held, the flood comes first, then all others; then it may begin."""
    log, output = tmp_path / "log", tmp_path / "runs"
    output.mkdir()
    monkeypatch.setenv("SIDELIGHT_TEST_LOG", str(log))
    calls = replace(STUBS.calls, analyze="tests.analyzer_service.pipeline.stubs:analyze_in_turn")
    pipeline = replace(STUBS, calls=calls)
    with analyzer(address, output, workers=PoolWorkers(1), pipeline=pipeline) as running:
        publishers = {number: start(number, address, tmp_path) for number in FRAMES}
        for step in range(1, FRAMES[FLOODER] + 1):
            publish(publishers[FLOODER], FLOODER, step)
        wait_for_frames(running, FRAMES[FLOODER])
        for number in set(FRAMES) - {FLOODER}:
            for step in range(1, FRAMES[number] + 1):
                publish(publishers[number], number, step)
        wait_for_frames(running, sum(FRAMES.values()))
        (tmp_path / "gate").touch()
        outcomes = {number: each.close(timeout_s=60) for number, each in publishers.items()}

    order = [int(line) for line in log.read_text().splitlines()]
    assert Counter(order) == FRAMES
    seen: Counter[int] = Counter()
    for number in order:
        seen[number] += 1
        # The flood has one frame more at most, that which was at work already.
        assert number == FLOODER or seen[FLOODER] <= seen[number] + 1
    for number, count in FRAMES.items():
        totals = outcomes[number].books.frames["train"]
        assert (totals.offered, totals.delivered, totals.dropped) == (count, count, 0)
        with RunReader(output / f"auto_analysis_trainer-{number}") as reader:
            assert reader.state().status == "finished"
            losses = [row.values["loss"] for row in reader.rows()]
        assert losses == [number + step / 1000 for step in range(1, count + 1)]
