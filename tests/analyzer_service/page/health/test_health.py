"""``GET /api/runs/{run}/health`` of live, finished, failed and damaged runs."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from analyzer_service.page.health.noted import NotedHealth
from analyzer_service.pipeline.folder import FolderLock
from analyzer_service.sinks.health_file import FILE, HealthFile
from shared.messages import RecordTotals
from tests.analyzer_service.page.health.test_verdict import WELL
from tests.analyzer_service.sinks.runs import RunWriter, write_run
from tests.builders import START_NS, make_run_ended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auto_analysis_demo"


def health(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/runs/demo/health")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def note(folder: Path, at: float, **overrides: Any) -> None:
    HealthFile(folder).append({**WELL, "at": at, "heard_at": at, "event": None, **overrides})


def alert(run: RunWriter, **overrides: Any) -> None:
    fields = {
        "name": "loss_rise",
        "layer": None,
        "phase": "train",
        "rank": 0,
        "moment": 2,
        "release": 1,
        "step": 1,
        "at": 5.0,
        "since_step": 1,
        "since_at": 4.0,
        "last_step": 3,
        "last_at": 6.0,
        "peak": None,
        "sentence": "It <b>rises</b>.",
        **overrides,
    }
    names, marks = ", ".join(fields), ", ".join("?" * len(fields))
    with run.store.transaction():
        run.store.connection.execute(
            f"INSERT INTO alerts ({names}) VALUES ({marks})", tuple(fields.values())
        )


def test_a_live_run_that_is_well(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=4, val_batches=1)
    lock = FolderLock(folder)
    now = time.time()
    for age in (4, 2, 0):
        note(folder, now - age, work_lag_s=float(age))
    told = health(client)
    lock.release()
    run.close()
    assert (told["status"], told["live"], told["findings"]) == ("running", True, [])
    assert told["current"]["at"] == now
    assert told["history"]["work_lag_s"] == [4.0, 2.0, 0.0]
    assert told["trainer_memory"]["mb"] == [513.0, 514.0, 515.0, 516.0]  # make_batch: 512 + n
    assert [each["stream"] for each in told["frames"]] == ["train", "val"]
    assert told["frames"][0]["balances"]
    assert told["incarnations"][0]["started_at"] == START_NS / 1e9


def test_dropped_frames_come_with_their_reasons(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=4, val_batches=0)
    run.batch(5, framed=False)
    run.close()
    (books,) = health(client)["frames"]
    counted = [books[name] for name in ("offered", "delivered", "dropped", "pending")]
    assert counted == [5, 4, 1, 0]
    (drop,) = books["drops"]
    assert (drop["reason"], drop["frames"]) == ("queue_full", 1)
    assert "memory budget" in drop["words"]


def test_a_finished_run_says_what_there_is(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=2, val_batches=0)
    records = RecordTotals(offered=0, committed=0, lost=0, pending=0)
    run.say(make_run_ended(records=records), cseq=1)
    run.end()
    run.close()
    told = health(client)
    assert (told["live"], told["current"]) == (False, None)
    assert told["history"]["at"] == []
    assert told["records"][0]["committed"] == 1
    assert told["findings"] == []


def test_alerts_go_on_only_while_the_run_does(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=4, val_batches=0)
    alert(run)
    alert(
        run,
        name="not_finite",
        moment=4,
        peak=7.5,
        cleared_release=3,
        cleared_step=3,
        cleared_at=9.0,
    )
    told = health(client)
    (active,), (cleared,) = told["alerts"]["active"], told["alerts"]["cleared"]
    assert (active["title"], active["sentence"]) == ("loss rising", "It <b>rises</b>.")
    assert (active["peak"], active["cleared_at"]) == (None, None)
    assert (cleared["title"], cleared["peak"], cleared["last_at"]) == ("NaN or infinity", 7.5, 9.0)
    assert [finding["level"] for finding in told["findings"]] == ["warn"]
    run.end()
    run.close()
    assert health(client)["findings"] == []


def test_a_failed_run_says_so_first(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=2, val_batches=0)
    run.end("failed", "rank0 was lost")
    run.close()
    first = health(client)["findings"][0]
    assert first["level"] == "bad"
    assert "rank0 was lost" in first["what"]


def test_an_old_last_line_is_no_live_run(folder: Path, client: TestClient) -> None:
    run = write_run(folder, epochs=1, batches=2, val_batches=0)
    note(folder, time.time() - 60, store_failing=True)
    told = health(client)
    run.close()
    assert told["live"] is False
    assert told["current"]["store_failing"] is True


def test_the_file_is_followed_as_it_grows_and_is_thinned(tmp_path: Path) -> None:
    noted = NotedHealth()
    assert noted.of(tmp_path).last is None
    file = HealthFile(tmp_path, largest_bytes=20_000)
    for at in range(300):
        file.append({"at": at, "event": None, "dropped": at, "text": "x" * 100})
        last = noted.of(tmp_path).last
        assert last is not None
        assert last["at"] == at
    kept = [json.loads(text)["at"] for text in (tmp_path / FILE).read_text().splitlines()]
    assert len(kept) < 300
    found = noted.of(tmp_path)
    assert found.over_time["dropped"][~np.isnan(found.over_time["dropped"])].tolist() == kept
    with (tmp_path / FILE).open("ab") as half:
        half.write(b'{"at": 1000, ')
    assert noted.of(tmp_path) is found
    (tmp_path / FILE).unlink()
    assert noted.of(tmp_path).last is None


def test_a_link_to_a_file_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"at": 1}\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).symlink_to(tmp_path / "secret")
    assert NotedHealth().of(tmp_path / "run").last is None


def test_a_database_that_is_damaged_while_it_is_shown_says_so(
    folder: Path, client: TestClient
) -> None:
    write_run(folder, epochs=1).close()
    path = folder / "metrics.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    answer = client.get("/api/runs/demo/health")
    assert answer.status_code == 409
    assert "damaged" in answer.json()["error"]


def test_a_run_that_is_not_there(client: TestClient) -> None:
    assert client.get("/api/runs/nobody/health").status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"at": HUGE}',
        '{"at": 1, "x": "\\ud800"}',
        f'{{"at": 1, "x": {"[" * 900}{"]" * 900}}}',
        '{"at": NOW, "event": null, "still_s": HUGE}',
        '{"at": NOW, "ingest_lag_s": HUGE, "heard_at": -HUGE}',
        '{"at": NOW, "work_lag_s": Infinity, "heard_at": NaN, "connected": 0}',
        '{"at": NOW, "workers": [1], "alerts": 3, "wandb": [], "heard_at": "x"}',
    ],
)
def test_a_file_that_holds_anything_is_read_as_far_as_it_can_be(
    folder: Path, client: TestClient, text: str
) -> None:
    write_run(folder).close()
    line = text.replace("NOW", f"{time.time()}").replace("HUGE", f"1{'0' * 400}")
    (folder / FILE).write_text(f"{line}\n")
    health(client)
    note(folder, time.time(), dropped=7)
    assert health(client)["current"]["dropped"] == 7


def test_a_file_in_the_place_of_a_deleted_one_is_read_from_its_start(tmp_path: Path) -> None:
    noted = NotedHealth()
    note(tmp_path, 1.0, work_lag_s=1.0)
    assert noted.of(tmp_path).over_time["at"].tolist() == [1.0]
    # Written over, which leaves the inode as it is, as file systems do that give it out again.
    other = tmp_path / "other"
    other.mkdir()
    for at in (5.0, 6.0):
        note(other, at, work_lag_s=2.0)
    (tmp_path / FILE).write_bytes((other / FILE).read_bytes())
    assert noted.of(tmp_path).over_time["at"].tolist() == [5.0, 6.0]
