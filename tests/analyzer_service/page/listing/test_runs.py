"""The list of runs: what it says of each, and that nothing hides the others."""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from analyzer_service.commit.database import BUSY_TIMEOUT_S
from analyzer_service.commit.reader import RunReader
from analyzer_service.page.answers import PageError
from analyzer_service.page.app import build_app
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.listing import standing
from analyzer_service.page.listing.runs import RunList
from analyzer_service.page.listing.standing import RunStanding
from analyzer_service.page.settings import PageSettings
from analyzer_service.pipeline.folder import FolderLock
from tests.analyzer_service.sinks.runs import repeat_rows, write_run
from tests.builders import START_NS


def listed(client: TestClient) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/runs")
    assert answer.status_code == 200
    return {run["run"]: run for run in answer.json()["runs"]}


def finished(folder: Path, **options: Any) -> None:
    run = write_run(folder, **options)
    run.end()
    run.close()


def test_an_empty_folder_lists_nothing_and_says_where_it_is(
    tmp_path: Path, client: TestClient
) -> None:
    said = client.get("/api/runs").json()
    assert said["runs"] == []
    assert said["output_dir"] == str(tmp_path.resolve())
    assert said["output_dir_name"] == tmp_path.name


def test_a_run_says_where_it_stands(tmp_path: Path, client: TestClient) -> None:
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1, batches=5, val_batches=2)
    told = listed(client)["demo"]
    (loss,) = run.store.connection.execute(
        "SELECT loss FROM batches WHERE phase = 'train' AND phase_step = 5"
    ).fetchone()
    (ssim,) = run.store.connection.execute(
        "SELECT ssim FROM batches WHERE phase = 'val' AND phase_step = 2"
    ).fetchone()
    run.close()
    assert told["status"] == "running"
    assert (told["project"], told["device"], told["world_size"]) == ("histopath-kan-auto", "cpu", 1)
    assert told["batches"] == {"train": 5, "val": 2}
    assert told["progress"] == 5 / 20  # total_steps of make_run_started
    assert (told["epoch"], told["max_epochs"], told["total_steps"]) == (0, 2, 20)
    assert told["started_at"] == START_NS / 1e9
    assert told["ended_at"] is None
    assert (told["loss"], told["val_ssim"]) == (loss, ssim)
    assert (told["alerts"], told["alerts_active"]) == (0, 0)


def test_a_loss_that_is_not_finite_is_no_number_but_the_ssim_before_a_dropped_frame_stands(
    tmp_path: Path, client: TestClient
) -> None:
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1, batches=3, val_batches=0)
    before = listed(client)["demo"]
    run.batch(4, loss=float("nan"), framed=False)
    told = listed(client)["demo"]
    run.close()
    assert before["loss"] is not None
    assert told["loss"] is None
    assert told["ssim"] == before["ssim"] is not None


def test_an_end_is_seen_at_once(tmp_path: Path, client: TestClient) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    assert listed(client)["demo"]["status"] == "running"
    run.end("failed", "out of memory")
    told = listed(client)["demo"]
    run.close()
    assert (told["status"], told["reason"]) == ("failed", "out of memory")
    assert told["ended_at"] == (START_NS + 10**12) / 1e9


def test_every_commit_is_seen_though_runs_are_remembered(
    tmp_path: Path, client: TestClient
) -> None:
    """Commits within one tick of the file system's clock, which its times do not tell apart."""
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1, batches=1, val_batches=0)
    for number in range(2, 40):
        run.batch(number)
        assert listed(client)["demo"]["batches"]["train"] == number
    run.close()


def test_a_run_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "auto_analysis_demo"
    finished(folder)
    os.utime(folder / "metrics.sqlite", (1, 1))
    runs = RunList(RunFolders(tmp_path))
    before = runs.entries()
    monkeypatch.setattr(standing, "_read", lambda _: RunStanding("failed"))
    assert runs.entries() == before
    os.utime(folder / "metrics.sqlite", (2, 2))
    assert runs.entries()[0]["status"] == "failed"


def test_a_killed_analyzer_is_told_from_one_that_waits(tmp_path: Path, client: TestClient) -> None:
    folder = tmp_path / "auto_analysis_demo"
    write_run(folder).close()
    assert listed(client)["demo"]["silent_s"] is None  # it was written just now
    long_ago = time.time() - 3600
    for path in folder.glob("metrics.sqlite*"):
        os.utime(path, (long_ago, long_ago))
    assert listed(client)["demo"]["silent_s"] == pytest.approx(3600, abs=60)
    lock = FolderLock(folder)
    assert listed(client)["demo"]["silent_s"] is None
    lock.release()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    finished(tmp_path / "auto_analysis_good")
    return tmp_path / "auto_analysis_good"


def unreadable(client: TestClient, name: str) -> str:
    runs = listed(client)
    assert runs["good"]["status"] == "finished"
    assert runs[name]["status"] == "unreadable"
    assert runs[name]["loss"] is None
    said: str = runs[name]["error"]
    return said


def test_a_newer_version_says_so(good: Path, client: TestClient) -> None:
    shutil.copytree(good, good.with_name("auto_analysis_newer"))
    database = sqlite3.connect(good.with_name("auto_analysis_newer") / "metrics.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    said = unreadable(client, "newer")
    assert "schema 99" in said
    assert "use the version of Sidelight that wrote it" in said


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 99])
def test_a_file_that_is_no_database_says_so(good: Path, client: TestClient, content: bytes) -> None:
    broken = good.with_name("auto_analysis_broken")
    broken.mkdir()
    (broken / "metrics.sqlite").write_bytes(content)
    assert "not readable" in unreadable(client, "broken")


def test_a_damaged_database_says_so(good: Path, client: TestClient) -> None:
    broken = good.with_name("auto_analysis_broken")
    shutil.copytree(good, broken)
    path = broken / "metrics.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    assert "damaged" in unreadable(client, "broken")
    path.write_bytes(data[:8192])
    assert "malformed" in unreadable(client, "broken")


def test_a_run_that_is_being_made_says_so(good: Path, client: TestClient) -> None:
    for name in ("empty_file", "no_producer"):
        good.with_name(f"auto_analysis_{name}").mkdir()
    good.with_name("auto_analysis_empty_file").joinpath("metrics.sqlite").touch()
    target = good.with_name("auto_analysis_no_producer") / "metrics.sqlite"
    shutil.copy(good / "metrics.sqlite", target)
    database = sqlite3.connect(target)
    with database:
        database.execute("DELETE FROM producers")
    database.close()
    assert "being made" in unreadable(client, "empty_file")
    assert "only making it" in unreadable(client, "no_producer")


def test_facts_of_another_kind_say_so(good: Path, client: TestClient) -> None:
    strange = good.with_name("auto_analysis_strange")
    shutil.copytree(good, strange)
    database = sqlite3.connect(strange / "metrics.sqlite")
    with database:
        database.execute("UPDATE producers SET started = '{}'")
    database.close()
    assert "does not understand" in unreadable(client, "strange")


def test_what_is_no_run_is_not_listed(good: Path, tmp_path: Path, client: TestClient) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}_outside"
    shutil.copytree(good, outside)
    (tmp_path / "auto_analysis_link").symlink_to(outside)
    (tmp_path / "auto_analysis_file_link").mkdir()
    (tmp_path / "auto_analysis_file_link" / "metrics.sqlite").symlink_to(outside / "metrics.sqlite")
    (tmp_path / "auto_analysis_empty").mkdir()
    (tmp_path / "auto_analysis_file").touch()
    os.mkdir(os.fsencode(tmp_path) + b"/auto_analysis_\xff")
    shutil.copy(
        os.fsencode(good / "metrics.sqlite"), os.fsencode(tmp_path) + b"/auto_analysis_\xff/m"
    )
    os.rename(
        os.fsencode(tmp_path) + b"/auto_analysis_\xff/m",
        os.fsencode(tmp_path) + b"/auto_analysis_\xff/metrics.sqlite",
    )
    assert set(listed(client)) == {"good"}
    assert client.get("/runs/link").status_code == 404
    shutil.rmtree(outside)


def test_a_run_deleted_while_it_is_read_is_left_out(
    good: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = good.with_name("auto_analysis_doomed")
    shutil.copytree(good, doomed)

    def deleted(folders: RunFolders) -> dict[str, Path]:
        shutil.rmtree(doomed)  # between the listing and the reading
        return {"good": good, "doomed": doomed}

    monkeypatch.setattr(RunFolders, "all", deleted)
    assert set(listed(client)) == {"good"}


def test_a_long_run_is_listed_without_reading_its_rows(tmp_path: Path, client: TestClient) -> None:
    """SQLite's own account of its work: a run of 20,000 rows takes as few steps as one of 80."""
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1, batches=80, val_batches=80)
    few = _steps(run.store.folder)
    repeat_rows(run, times=125)
    run.close()
    assert _steps(run.folder) < 1.1 * few


def _steps(folder: Path) -> int:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with RunReader(folder, unchanged=True) as reader:
        reader._connection.set_progress_handler(step, 1)
        standing._read(reader)
    return steps


def test_many_runs_are_listed_at_once(good: Path, client: TestClient) -> None:
    """500 runs take 40 ms of a processor once they were read; the limit is a wide one."""
    data = (good / "metrics.sqlite").read_bytes()
    for number in range(500):
        folder = good.with_name(f"auto_analysis_{number}")
        folder.mkdir()
        (folder / "metrics.sqlite").write_bytes(data)
        os.utime(folder / "metrics.sqlite", (1, 1))
    assert len(listed(client)) == 501
    begun = time.process_time()
    body = client.get("/api/runs").content
    assert time.process_time() - begun < 0.25
    assert len(json.loads(body)["runs"]) == 501


def test_a_name_is_text_in_the_servers_own_pages(tmp_path: Path, client: TestClient) -> None:
    """A folder may be called anything, though no run that Sidelight writes is."""
    name = '"><script>alert(1)<b title="'
    finished(tmp_path / f"auto_analysis_{name}")
    for path in ("/runs/{}", "/runs/{}/annotate", "/runs/{}x"):
        page = client.get(path.format(quote(name))).text
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<b title" not in page


def test_an_output_folder_whose_name_is_no_text_is_listed(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultats"))
    folder.mkdir()
    with TestClient(build_app(PageSettings(folder)), base_url="http://127.0.0.1") as client:
        assert client.get("/api/runs").json()["runs"] == []


def test_one_run_is_told_as_the_list_tells_it(tmp_path: Path, client: TestClient) -> None:
    finished(tmp_path / "auto_analysis_demo", batches=3)
    assert client.get("/api/runs/demo").json() == listed(client)["demo"]
    assert client.get("/api/runs/none").status_code == 404


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_run_that_no_address_can_name_is_not_listed(
    tmp_path: Path, client: TestClient, name: str
) -> None:
    write_run(tmp_path / f"auto_analysis_{name}", epochs=0).close()
    assert listed(client) == {}


def test_a_run_that_a_program_keeps_for_itself_holds_up_no_other(
    tmp_path: Path, client: TestClient
) -> None:
    write_run(tmp_path / "auto_analysis_well").close()
    write_run(tmp_path / "auto_analysis_kept").close()
    path = tmp_path / "auto_analysis_kept" / "metrics.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("CREATE TABLE mine (x)")
        began = time.monotonic()
        found = listed(client)
        said = client.get("/api/runs/kept/health")
        took_s = time.monotonic() - began
    assert found["well"]["status"] == "running"
    assert "locked" in found["kept"]["error"]
    assert said.status_code == 409
    assert "locked" in said.json()["error"]
    assert took_s < BUSY_TIMEOUT_S / 2  # that long a writer waits for another one


def test_a_folder_that_may_not_be_entered_says_so() -> None:
    with tempfile.TemporaryDirectory() as made:  # pytest's own is for its user alone
        root, folder = Path(made), Path(made) / "auto_analysis_closed"
        finished(folder)
        os.chmod(root, 0o755)
        os.chmod(folder, 0)
        folders = RunFolders(root)
        try:
            with _nobody_special():
                (entry,) = RunList(folders).entries()
                with pytest.raises(PageError, match="may not enter"), folders.open("closed"):
                    pass
        finally:
            os.chmod(folder, 0o755)
        assert (entry["run"], entry["status"]) == ("closed", "unreadable")
        assert "chmod -R a+rX auto_analysis_closed" in entry["error"]


@contextmanager
def _nobody_special() -> Iterator[None]:
    """Root may enter every folder: go without its rights meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
