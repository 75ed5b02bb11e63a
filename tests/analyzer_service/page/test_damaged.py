"""A database that can be opened and holds something else: an answer in words, on every route."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analyzer_service.commit.database import run_database
from tests.analyzer_service.page.tiles.kept_runs import KnownRun
from tests.analyzer_service.sinks.runs import write_run

RUN = "/api/runs/demo"
DAMAGES = {
    "a state that is no state": "UPDATE state SET value = 'x'",
    "a state of bytes": "UPDATE state SET value = x'00ff'",
    "starts that are none": "UPDATE producers SET started = '{}'",
    "starts of a later version": "UPDATE producers SET started = json_set(started, '$.new', 1)",
    "no starts": "DELETE FROM producers",
    "no names": "DELETE FROM metric_names",
    "names of nothing": "UPDATE metric_names SET names = substr('        ', id) || 'null'",
    "names of bytes": "UPDATE metric_names SET names = x'ff' || id",
    "numbers cut short": "UPDATE batches SET metrics = substr(metrics, 1, 11)",
    "numbers of text": "UPDATE batches SET metrics = 'x'",
    "buckets of text": "UPDATE rollups SET sums = 'x', lows = 'y', highs = x'00'",
    "text that is no UTF-8": "UPDATE frames SET file = CAST(x'ff' AS TEXT)",
    "files of bytes": "UPDATE frames SET file = x'00'",
    "files of elsewhere": "UPDATE frames SET file = '../../../../etc/passwd'",
    "tiles that are none": "UPDATE samples SET sample = '[]'",
    "tiles that are no JSON": "UPDATE samples SET sample = '{'",
    "records of text": "UPDATE records SET payload = 'x'",
    "rows whose order is gone": "UPDATE batches SET ordinal = ordinal * 500",
    "steps of text": "UPDATE batches SET global_step = 'x', loss = 'y', ssim = x'00'",
    "steps beyond all numbers": f"UPDATE batches SET global_step = {2**63 - 1}, epoch = -1",
    "dashboards of elsewhere": "UPDATE dashboards SET file = '../auto_analysis_well/health.jsonl'",
    "a table less": "DROP TABLE batches",
}


@pytest.fixture
def tile(tmp_path: Path, client: TestClient) -> str:
    run = KnownRun(tmp_path)
    run.add(1)
    for number in range(1, 20):
        run.writer.batch(number)
    run.writer.dashboard("val", 1)
    run.close()
    write_run(tmp_path / "auto_analysis_well").close()
    name: str = client.get(f"{RUN}/annotations/overview").json()["tiles"][0]["tile"]
    return name


def routes(tile: str) -> Iterator[str]:
    yield from ("/api/runs", "/api/compare?run=demo&run=well", "/runs/demo", f"{RUN}/health")
    yield from (f"{RUN}/metrics", f"{RUN}/series?name=loss", f"{RUN}/series?name=loss&points=2")
    yield from (f"{RUN}/series?name=ssim&from=3&to=7", f"{RUN}/steps", f"{RUN}/probes")
    yield from (f"{RUN}/frames/val/1", f"{RUN}/frames/val/1/0/maps", f"{RUN}/dashboards")
    yield from (f"{RUN}/dashboards/val_batch_000001.png", f"{RUN}/annotations/overview")
    for what in ("input.png", "maps", "marks?reader=anna", "agreement?reader=anna"):
        yield f"{RUN}/annotations/tiles/{tile}/{what}"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_says_so_and_hides_no_other(
    tmp_path: Path, client: TestClient, tile: str, damage: str
) -> None:
    with closing(sqlite3.connect(run_database(tmp_path / "auto_analysis_demo"))) as connection:
        with connection:
            connection.execute("PRAGMA ignore_check_constraints = 1")
            connection.execute("PRAGMA foreign_keys = 0")
            connection.execute(DAMAGES[damage])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for url in routes(tile):
        said = client.get(url)
        assert said.status_code < 500, (url, said.text)
    listed = {run["run"]: run for run in client.get("/api/runs").json()["runs"]}
    assert listed["well"]["batches"] == {"train": 20, "val": 4}
    assert "demo" in listed
