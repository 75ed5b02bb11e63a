"""Deliveries that are disturbed, with real processes over real sockets."""

import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from analyzer_service.commit.reader import RunReader
from tests.processes.commands import run
from tests.processes.proxy import Proxy
from tests.processes.scene import Scene, free_ports

pytestmark = pytest.mark.process


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def expect_everything(scene: Scene, outcome: dict[str, Any], batches: int) -> None:
    """Each batch arrived once with its frame, and both books say so."""
    assert scene.steps() == list(range(1, batches + 1))
    assert outcome["complete"], outcome
    assert outcome["journal"] is None
    everything = {"offered": batches, "delivered": batches, "dropped": 0, "pending": 0}
    assert outcome["totals"]["train"] == everything
    with RunReader(scene.folder) as reader:
        assert reader.books()["rank0/train"].model_dump() == everything
        assert reader.state().status == "finished"
        assert reader.state().failures == {}
        assert all(row.values["samples"] == 1 for row in reader.rows())


def test_an_analyzer_that_comes_three_seconds_late_misses_nothing(scene: Scene) -> None:
    publisher = scene.publisher(batches=300, step_s=0.02)
    scene.until(lambda: list(scene.home.glob("*.journal.mcap")))
    time.sleep(3.0)  # what is tested: so much later
    analyzer = scene.analyzer("--once")
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_analyzer_killed_three_times_loses_and_doubles_nothing(scene: Scene, seed: int) -> None:
    generator = random.Random(seed)
    publisher = scene.publisher(batches=300, step_s=0.03, close_timeout=15)
    analyzer = scene.analyzer("--once")
    for part in range(3):
        least = 20 + 70 * part + generator.randrange(40)
        scene.until(lambda least=least: len(scene.steps()) >= least)
        analyzer.kill()
        analyzer.wait()
        analyzer = scene.analyzer("--once")
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)


def test_an_analyzer_that_stands_still_for_seven_seconds_catches_up(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    publisher = scene.publisher(batches=300, step_s=0.03)
    scene.until(lambda: len(scene.steps()) >= 20)
    analyzer.send_signal(signal.SIGSTOP)
    time.sleep(7.0)  # what is tested: so long
    analyzer.send_signal(signal.SIGCONT)
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)


def test_leaving_a_stopped_analyzer_is_quick_and_the_journal_completes_the_run(
    scene: Scene,
) -> None:
    analyzer = scene.analyzer()
    release = scene.home / "release"
    publisher = scene.publisher(batches=300, close_timeout=2.0, step_s=0.005, hold=release)
    scene.until(lambda: len(scene.steps()) >= 20)
    analyzer.send_signal(signal.SIGSTOP)
    release.touch()
    outcome = scene.outcome(publisher)
    assert outcome["close_s"] < 3.0
    assert not outcome["complete"]
    assert outcome["journal"] is not None
    analyzer.send_signal(signal.SIGCONT)
    scene.end(analyzer)
    run("analyzer_service", "replay", outcome["journal"], "--output-dir", "runs", cwd=scene.home)
    assert scene.steps() == list(range(1, 301))
    with RunReader(scene.folder) as reader:
        books = reader.books()["rank0/train"]
        assert reader.state().status == "finished"
        assert reader.state().failures == {}
        assert all(row.values["samples"] == 1 for row in reader.rows())
    assert books.model_dump() == {"offered": 300, "delivered": 300, "dropped": 0, "pending": 0}
    assert (scene.folder / "final_summary_report.md").exists()


def test_the_run_of_a_killed_publisher_is_failed_and_reported(scene: Scene) -> None:
    scene.analyzer("--producer-timeout", "2")
    publisher = scene.publisher(batches=100_000, step_s=0.01)
    scene.until(lambda: len(scene.steps()) >= 20)
    publisher.kill()
    publisher.wait()
    scene.until((scene.folder / "final_summary_report.md").exists)
    assert scene.status() == "failed"
    steps = scene.steps()
    assert steps == list(range(1, len(steps) + 1))
    with RunReader(scene.folder) as reader:
        books = reader.books()["rank0/train"]
    assert books.offered == books.delivered + books.dropped + books.pending
    assert books.pending == 0


def test_a_second_publisher_of_one_identity_is_refused_and_records(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    first_ends = scene.home / "first"
    second_ends = scene.home / "second"
    first = scene.publisher("one", batches=100, hold=first_ends)
    scene.until(lambda: len(scene.steps()) >= 20)
    second = scene.publisher("two", batches=30, hold=second_ends)
    scene.until(lambda: "refused" in scene.said())
    second_ends.touch()
    refused = scene.outcome(second, "two")
    first_ends.touch()
    outcome = scene.outcome(first, "one")
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 100)
    assert "already connected" in refused["refusal"]
    assert refused["close_s"] < 2.0
    assert refused["journal"] is not None
    run(
        *("analyzer_service", "replay", refused["journal"], "--output-dir", "other"),
        cwd=scene.home,
    )
    with RunReader(scene.home / "other" / "auto_analysis_bare") as reader:
        assert [row.values["global_step"] for row in reader.rows()] == list(range(1, 31))
        assert reader.books()["rank0/train"].delivered == 30


def test_garbage_on_both_ports_disturbs_nobody(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    release = scene.home / "release"
    publisher = scene.publisher(batches=200, step_s=0.01, hold=release)
    scene.until(lambda: len(scene.steps()) >= 10)
    throw_garbage(scene.endpoint, random.Random(3))
    release.touch()
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 200)
    assert "no message" in scene.said()


def test_frames_lost_in_a_broken_connection_arrive_all_the_same(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    behind = int(scene.endpoint.rpartition(":")[2])
    front = free_ports()
    ctl, bulk = Proxy(front, behind), Proxy(front + 1, behind + 1)
    scene.endpoint = f"tcp://127.0.0.1:{front}"
    publisher = scene.publisher(batches=300, step_s=0.005)
    scene.until(lambda: len(scene.steps()) >= 50)
    bulk.swallow = True
    scene.until(lambda: bulk.swallowed > 20_000)
    bulk.cut()
    bulk.swallow = False
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)
    ctl.close()
    bulk.close()


def throw_garbage(endpoint: str, generator: random.Random) -> None:
    """Random bytes on plain sockets, and random messages of well-spoken ZeroMQ peers."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    context = zmq.Context()
    for number in (int(port), int(port) + 1):
        for _ in range(20):
            with socket.create_connection((host, number)) as plain:
                plain.sendall(generator.randbytes(generator.randrange(1, 5000)))
        peer = context.socket(zmq.DEALER)
        peer.setsockopt(zmq.LINGER, 5000)
        peer.connect(f"tcp://{host}:{number}")
        for _ in range(300):
            count = generator.randrange(1, 4)
            peer.send_multipart(
                [generator.randbytes(generator.randrange(200)) for _ in range(count)]
            )
        peer.close()
    context.term()
