"""The W&B sink with the real wandb: what it logs, and what happens when it hangs or dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks import wandb_link, wandb_session
from analyzer_service.sinks.wandb_sink import Mode, WandbOutcome, WandbSink
from tests.analyzer_service.sinks import wandb_files
from tests.analyzer_service.sinks.runs import RunWriter, write_run
from tests.analyzer_service.sinks.test_report_alerts import an_alert, put
from tests.builders import LAYERS

pytestmark = pytest.mark.process

Keep = Callable[[RunWriter], RunWriter]
SLACK_S = 1.0
LONG_S = 100.0
"""For what ends by an event; a busy machine takes long to start W&B."""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., WandbSink]]:
    """Starts sinks, and ends their processes whatever the test does."""
    sinks: list[WandbSink] = []

    def start_one(mode: Mode = "offline") -> WandbSink:
        sinks.append(WandbSink(folder, mode, "histopath-kan-auto"))
        return sinks[-1]

    yield start_one
    for sink in sinks:
        sink.finish(0.0)


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def wait_logged(sink: WandbSink, rows: int) -> list[psutil.Process]:
    """Wait until `rows` rows are logged; return the processes that did it."""
    sink.notify()
    wait_until(lambda: sink._session.position.rows >= rows)
    link = sink._session.link
    assert link is not None
    child = psutil.Process(link.pid)
    return [child, *child.children(recursive=True)]


def finish(sink: WandbSink, timeout_s: float) -> WandbOutcome:
    begun = time.monotonic()
    outcome = sink.finish(timeout_s)
    assert time.monotonic() - begun < timeout_s + SLACK_S
    return outcome


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


def test_offline_file_holds_the_run(
    folder: Path, keep: Keep, start: Callable[..., WandbSink]
) -> None:
    run = keep(write_run(folder, epochs=2, batches=25, val_batches=6))
    dashboards = [run.dashboard("train", 25), run.dashboard("val", 1)]
    run.end()

    sink = start()
    processes = wait_logged(sink, run.release)
    outcome = finish(sink, 10.0)

    assert_gone(processes)
    assert outcome.complete
    assert (outcome.rows, outcome.images, outcome.rows_left, outcome.images_left) == (62, 2, 0, 0)
    assert outcome.sync_command == f"wandb sync {outcome.directories[0]}"
    _check_history(folder, wandb_files.history(outcome.directories[0]))
    _check_images(outcome.directories[0], dashboards)
    _check_run(outcome.directories[0])


def test_alerts_are_handed_over_once(
    folder: Path, start: Callable[..., WandbSink], keep: Keep
) -> None:
    run = keep(write_run(folder))
    put(run, an_alert(10), an_alert(12, name="not_finite", layer="a_layer_with_a_" + 60 * "long_"))
    run.end()
    sink = start()
    wait_logged(sink, run.release)
    assert finish(sink, 10.0).complete
    (directory,) = sink._session.position.directories
    told = [
        record["alert"]
        for record in wandb_files.records(folder / directory)
        if record["type"] == "alert"
    ]
    assert [alert["level"] for alert in told] == ["WARN", "ERROR"]
    assert told[0]["title"] == "demo: memory growing"
    assert told[0]["text"] == "At step 10. Memory grows steadily: from 512 MiB to 632 MiB."
    assert len(told[1]["title"]) < 64


def _check_history(folder: Path, items: list[dict[str, object]]) -> None:
    with RunReader(folder) as reader:
        train = [row.values for row in reader.rows(phase="train")]
        val = [row.values for row in reader.rows(phase="val")]
    for name in ("loss", "ssim", "mse", "inference_time_ms", "training_time_ms", "memory_mb", "lr"):
        expected = [row[name] for row in train]
        assert wandb_files.column(items, f"train/{name}") == pytest.approx(expected), name
    assert wandb_files.column(items, "val/loss") == pytest.approx([row["loss"] for row in val])
    trained = [item for item in items if "train/loss" in item]
    validated = [item for item in items if "val/loss" in item]
    assert wandb_files.column(trained, "train/global_step") == list(range(1, 51))
    assert wandb_files.column(validated, "val/phase_step") == list(range(1, 13))
    for layer in (layer.name for layer in LAYERS if layer.kind == "attention"):
        key = f"attention_{layer}_attention_entropy"
        detailed = [item for item in items if f"train/{key}" in item]
        assert wandb_files.column(detailed, "train/global_step") == [20, 40]
        expected = [train[i][key] for i in (19, 39)]
        assert wandb_files.column(detailed, f"train/{key}") == pytest.approx(expected)
        detailed = [item for item in items if f"val/{key}" in item]
        assert wandb_files.column(detailed, "val/phase_step") == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert wandb_files.column(items, "epoch/epoch") == [0, 1]
    assert wandb_files.column(items, "epoch/val_batches") == [6, 6]
    assert not any("NaN" in map(str, item.values()) for item in items)


def _check_images(directory: Path, dashboards: list[Path]) -> None:
    items = wandb_files.history(directory)
    for key, dashboard in zip(
        ("train/batch_visualization_25", "val/batch_visualization_1"), dashboards, strict=True
    ):
        (stored,) = wandb_files.column(items, f"{key}.path")
        assert wandb_files.column(items, f"{key}._type") == ["image-file"]
        assert (directory / "files" / stored).read_bytes() == dashboard.read_bytes()


def _check_run(directory: Path) -> None:
    kinds = wandb_files.records(directory)
    (run,) = [record["run"] for record in kinds if record["type"] == "run"]
    assert (run["project"], run["display_name"]) == ("histopath-kan-auto", "demo")
    assert run["config"]["update"]["batch_size"] == 8
    globs = {
        record["metric"]["glob_name"]: record["metric"]["step_metric"]
        for record in kinds
        if record["type"] == "metric" and "glob_name" in record["metric"]
    }
    assert globs == {
        "train/*": "train/global_step",
        "val/*": "val/phase_step",
        "epoch/*": "epoch/epoch",
    }
    summary = wandb_files.summary(directory)
    assert summary["summary/status"] == "finished"
    assert summary["summary/train_batches"] == 50
    assert summary["summary/frames_offered"] == 62


def test_a_later_sink_goes_on_in_the_same_run(
    run: RunWriter, folder: Path, start: Callable[..., WandbSink]
) -> None:
    first = finish(start(), 20.0)
    run.batch(21, epoch=2)

    second = finish(start(), 20.0)

    assert (first.rows, second.rows) == (24, 25)
    assert second.directories[:1] == first.directories
    ids = {wandb_files.records(path)[1]["run"]["run_id"] for path in second.directories}
    assert len(ids) == 1
    assert wandb_files.column(wandb_files.history(second.directories[1]), "train/global_step") == [
        21
    ]


def test_a_killed_child_is_replaced_and_nothing_is_missing(
    run: RunWriter, start: Callable[..., WandbSink]
) -> None:
    sink = start()
    processes = wait_logged(sink, run.release)
    processes[0].send_signal(signal.SIGKILL)
    run.batch(21, epoch=2)

    outcome = finish(sink, 15.0)

    assert outcome.complete
    assert len(outcome.directories) == 2
    assert_gone(processes)
    items = [i for i in wandb_files.history(*outcome.directories) if "train/loss" in i]
    # What W&B's own process may have held in memory comes once more.
    assert set(wandb_files.column(items, "train/global_step")) == set(range(1, 22))


def test_a_stopped_child_delays_nobody_and_is_gone_afterwards(
    run: RunWriter, start: Callable[..., WandbSink]
) -> None:
    sink = start()
    processes = wait_logged(sink, run.release)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    run.batch(21, epoch=2)
    begun = time.monotonic()
    for _ in range(10_000):
        sink.notify()
    assert time.monotonic() - begun < 1.0

    outcome = finish(sink, 3.0)

    assert not outcome.complete
    assert outcome.rows_left >= 1
    assert outcome.rows + outcome.rows_left == 25
    assert "did not answer in time" in str(outcome)
    assert "wandb sync" in str(outcome)
    assert_gone(processes)


def test_an_unreachable_server_delays_nobody_and_leaves_an_offline_run(
    run: RunWriter, start: Callable[..., WandbSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_session, "INIT_TIMEOUT_S", 1.0)
    sink = start("online")
    sink.notify()
    assert sink.standing().rows == 0, "nobody was to wait for W&B's attempts"
    wait_until(lambda: sink.standing().rows == 24, LONG_S)

    outcome = finish(sink, LONG_S)

    assert (outcome.mode, outcome.logged_to, outcome.rows) == ("online", "offline", 24)
    assert outcome.complete
    assert "no run could be opened online (CommError" in str(outcome)
    items = wandb_files.history(outcome.directories[-1])
    assert len(wandb_files.column(items, "train/loss")) == 20


DEAF_ONLINE = """
import json, socket, sys, time
lines = socket.socket(fileno=int(sys.argv[1])).makefile("rw", encoding="utf-8", newline="\\n")
for line in lines:
    asked = json.loads(line)
    if asked.get("mode") == "online":
        time.sleep(600)
    at = asked.get("position", {}) | {"release": 24, "rows": 24}
    answer = {"directory": sys.argv[2] + "/wandb/offline-run-1", "url": None, "position": at}
    print(json.dumps(answer | {"more": False, "missing": 0}), file=lines, flush=True)
"""


def test_an_online_start_that_hangs_leaves_time_to_keep_the_run_offline(
    run: RunWriter, start: Callable[..., WandbSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_link, "_COMMAND", (sys.executable, "-c", DEAF_ONLINE))
    sink = start("online")
    sink.notify()

    outcome = finish(sink, 10.0)

    assert (outcome.logged_to, outcome.rows, outcome.complete) == ("offline", 24, True)
    assert "no run could be opened online (the W&B process did not answer in time)" in str(outcome)


def test_without_a_key_the_run_is_kept_offline_and_it_says_so(
    run: RunWriter, start: Callable[..., WandbSink]
) -> None:
    outcome = finish(start("online"), 15.0)

    assert outcome.complete
    assert outcome.logged_to == "offline"
    assert "No API key" in str(outcome)
    assert outcome.sync_command is not None


def test_a_child_that_never_answers_is_given_up_in_time(
    run: RunWriter, start: Callable[..., WandbSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    monkeypatch.setattr(wandb_link, "_COMMAND", sleeper)
    sink = start()
    sink.notify()
    wait_until(lambda: sink._session.link is not None)
    assert sink._session.link is not None
    child = psutil.Process(sink._session.link.pid)

    outcome = finish(sink, 2.0)

    assert (outcome.rows, outcome.rows_left) == (0, 24)
    assert_gone([child])


def test_a_child_that_keeps_dying_is_restarted_twice_only(
    run: RunWriter, folder: Path, start: Callable[..., WandbSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = folder / "marks"
    dying = (sys.executable, "-c", f"open({str(marks)!r}, 'a').write('x'); raise SystemExit(3)")
    monkeypatch.setattr(wandb_link, "_COMMAND", dying)
    monkeypatch.setattr(wandb_session, "_START_GAP_S", 0.0)
    sink = start()
    sink.notify()

    outcome = finish(sink, 10.0)

    assert marks.read_text() == "xxx"
    assert (outcome.complete, outcome.rows_left) == (False, 24)


def test_processes_end_when_the_analyzer_is_killed(
    run: RunWriter, folder: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from analyzer_service.sinks.wandb_sink import WandbSink\n"
        "sink = WandbSink(Path(sys.argv[1]), 'offline', 'p'); sink.notify()\n"
        "while sink._session.position.rows < 24: time.sleep(0.02)\n"
        "print(sink._session.link.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as analyzer:
        assert analyzer.stdout is not None
        child = psutil.Process(int(analyzer.stdout.readline()))
        processes = [child, *child.children(recursive=True)]
        analyzer.kill()

    assert_gone(processes)


def test_variables_that_wandb_would_not_take_do_not_stop_it(
    run: RunWriter, start: Callable[..., WandbSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    for name in ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_BASE_URL"):
        monkeypatch.setenv(name, "")
    sink = start()
    wait_logged(sink, run.release)

    outcome = finish(sink, 10.0)

    assert (outcome.rows, outcome.rows_left) == (run.release, 0)


def test_disabled_starts_nothing(folder: Path) -> None:
    sink = WandbSink(folder, "disabled", "p")
    sink.notify()

    outcome = sink.finish()

    assert (outcome.complete, str(outcome)) == (True, "W&B: disabled")
    assert not folder.exists()
