"""What a real analyzer serves during a run, asked by well-behaved and bad clients."""

import contextlib
import random
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.sinks.health_file import FILE, parse_lines
from analyzer_service.verify.run_folder import verify_folder
from tests.processes.scene import Process, Scene, expect_everything
from tests.processes.scraping import get, health, port_of, ready, scrape

pytestmark = pytest.mark.process

CONNECTIONS = 10_000


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def watched(scene: Scene) -> tuple[Process, int]:
    """An analyzer, and the port of its metrics."""
    analyzer = scene.analyzer("--metrics", "127.0.0.1:0")
    log = scene.log_of(analyzer)
    scene.until(lambda: port_of(log))
    port = port_of(log)
    assert port is not None
    return analyzer, port


def test_both_sides_say_the_same_books_in_the_end(scene: Scene) -> None:
    analyzer, port = watched(scene)
    assert health(port) == (200, {"status": "ok"})
    release = scene.home / "release"
    publisher = scene.publisher(batches=200, step_s=0.01, hold=release)
    while len(scene.steps()) < 150:
        shot = scrape(port)
        for prefix in ("sidelight", "sidelight_producer"):
            offered, delivered, dropped, pending = shot.books(prefix, run="bare")
            assert offered == delivered + dropped + pending, prefix
    release.touch()
    outcome = scene.outcome(publisher)
    expect_everything(scene, outcome, 200)
    said = "sidelight_producer_records_committed_total"
    scene.until(lambda: scrape(port).total(said) == 202)
    shot = scrape(port)
    assert shot.books("sidelight", stream="train") == (200, 200, 0, 0)
    assert shot.books("sidelight_producer", stream="train") == (200, 200, 0, 0)
    rank0 = {"run": "bare", "producer": "rank0"}
    assert shot.value("sidelight_records_committed_total", **rank0) == 202
    assert shot.value("sidelight_records_acked_total", **rank0) == 202
    assert shot.value("sidelight_producer_records_offered_total", **rank0) == 202
    assert shot.value("sidelight_producer_records_lost_total", **rank0) == 0
    assert shot.value("sidelight_producer_records_pending", **rank0) == 0
    assert shot.value("sidelight_run_status", run="bare", status="finished") == 1
    assert shot.total("sidelight_failures_total") == 0
    assert outcome["books"]["records"] == {
        "offered": 202,
        "committed": 202,
        "lost": 0,
        "pending": 0,
    }
    scene.end(analyzer)


def test_the_analyzers_health_is_noted_until_the_run_is_over(scene: Scene) -> None:
    analyzer = scene.analyzer()
    release = scene.home / "release"
    publisher = scene.publisher(batches=200, step_s=0.01, hold=release)
    file = scene.folder / FILE
    scene.until(lambda: file.exists() and len(parse_lines(file.read_bytes())) >= 2)
    release.touch()
    expect_everything(scene, scene.outcome(publisher), 200)
    scene.until(lambda: parse_lines(file.read_bytes())[-1]["event"] == "end")
    said = file.read_bytes()
    scene.end(analyzer)
    assert file.read_bytes() == said
    first, *_, last = parse_lines(said)
    assert (first["event"], first["status"], first["connected"]) == ("start", "running", 1)
    assert (last["status"], last["connected"]) == ("finished", 0)
    assert [last[name] for name in ("offered", "delivered", "dropped")] == [200, 200, 0]
    assert first["rss_bytes"] > 10 << 20
    assert last["workers"]["size"] == 1
    assert verify_folder(scene.folder).sound


def test_a_store_that_cannot_be_written_is_not_ready_until_it_can(scene: Scene) -> None:
    analyzer, port = watched(scene)
    release = scene.home / "release"
    publisher = scene.publisher(batches=300, step_s=0.01, hold=release)
    scene.until_steps(20)
    # As on a full disk: no file of this process grows any more.
    _, most = resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, (64 << 10, most))
    scene.until(lambda: ready(port)[0] == 503)
    scene.until(lambda: ready(port)[1]["checks"]["stores"] != "ok")
    said = ready(port)[1]["checks"]
    assert said["stores"]["why"] == "results cannot be written: bare"
    assert said["loop"] == "ok"
    assert health(port) == (200, {"status": "ok"}), "no restart would help"
    scene.until(lambda: scrape(port).value("sidelight_store_failing", run="bare") == 1)
    resource.prlimit(analyzer.pid, resource.RLIMIT_FSIZE, (most, most))
    scene.until(lambda: ready(port)[0] == 200)
    release.touch()
    expect_everything(scene, scene.outcome(publisher), 300)
    scene.end(analyzer)


def test_bad_clients_disturb_neither_the_run_nor_a_scrape(scene: Scene, files: int) -> None:
    analyzer, port = watched(scene)
    release = scene.home / "release"
    publisher = scene.publisher(batches=400, step_s=0.005, hold=release)
    scene.until_steps(10)
    with bad_clients(port, files):
        scene.until_steps(300)
        assert health(port) == (200, {"status": "ok"})
        shot = scrape(port)
        assert shot.value("sidelight_loop_last_turn_age_seconds") < 2.0
        assert shot.value("process_open_fds") < 200, "a few connections at a time"
    release.touch()
    expect_everything(scene, scene.outcome(publisher), 400)
    assert "Traceback" not in scene.said()
    scene.end(analyzer)


def test_a_run_is_sound_at_any_moment_while_it_goes_on(scene: Scene) -> None:
    analyzer = scene.analyzer("--metrics", "off")
    publisher = scene.publisher(batches=300, step_s=0.01, close_timeout=60)
    scene.until_steps(20)
    looks = 0
    while publisher.poll() is None:
        findings = verify_folder(scene.folder)
        assert findings.faults == []
        looks += 1
    assert looks > 3
    expect_everything(scene, scene.outcome(publisher), 300)
    scene.end(analyzer)
    assert verify_folder(scene.folder).lines()[-1] == "sound"


def test_two_analyzers_of_one_machine_need_no_port_of_their_own(scene: Scene) -> None:
    first, second = scene.analyzer(), scene.analyzer("--bind", f"ipc://{scene.home}/second")
    for analyzer in (first, second):
        scene.until_listening(analyzer)
        log = scene.log_of(analyzer)
        scene.until(lambda log=log: "metrics " in log.read_text())
    ports = [port_of(scene.log_of(analyzer)) for analyzer in (first, second)]
    for port in ports:
        # Others on this machine may hold every port that is tried; then it says so.
        assert port is None or get(port, "/healthz")[0] == 200
    assert ports[0] is None or ports[0] != ports[1]
    scene.end(first)
    scene.end(second)


def test_metrics_may_be_off(scene: Scene) -> None:
    analyzer = scene.analyzer("--metrics", "off")
    scene.until_listening(analyzer)
    scene.end(analyzer)
    assert "metrics at" not in scene.log_of(analyzer).read_text()


@pytest.fixture
def files() -> Iterator[int]:
    """As many open files as the system allows, for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def bad_clients(port: int, files: int) -> Iterator[None]:
    """Ten thousand connections that say nothing, and one client that goes on with garbage."""
    silent: list[socket.socket] = []
    for _ in range(min(CONNECTIONS, files - 500)):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        silent.append(connection)
    over = threading.Event()
    thrower = threading.Thread(target=throw_garbage, args=(port, over))
    thrower.start()
    try:
        yield
    finally:
        over.set()
        thrower.join()
        for connection in silent:
            connection.close()


def throw_garbage(port: int, over: threading.Event) -> None:
    generator = random.Random(5)
    while not over.wait(0.01):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as peer:
            peer.sendall(generator.randbytes(generator.randrange(1, 20_000)))
