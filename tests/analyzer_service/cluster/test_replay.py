"""A cluster gives what this machine gives, byte for byte, whatever happens to its workers."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import PipelineSettings
from analyzer_service.pipeline.remote_calls import REMOTE
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.replay import Replay
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.workers import PoolWorkers, Workers
from shared.transport.addresses import Address
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.analyzer_service.receive.recorded import items_of, write
from tests.analyzer_service.receive.test_replay import record_live, result_files
from tests.analyzer_service.workers.remote import dask_cluster
from tests.builders import make_drop

pytestmark = pytest.mark.process

REAL = PipelineSettings(end_grace_s=0.0)
HERE = "tests.analyzer_service.cluster.stubs"


def on_cluster(address: str) -> ClusterWorkers:
    return ClusterWorkers(ClusterSettings(address), PoolWorkers(1), REMOTE)


def replay(file: Path, output: Path, workers: Workers, pipeline: PipelineSettings = REAL) -> Path:
    output.mkdir()
    with closing(workers):
        settings = RunsSettings(output, pipeline=pipeline)
        replayed = Replay(Inventory([file]), workers, settings).run()
    return replayed.runs[0].folder


def results(folder: Path) -> dict[str, Any]:
    """Every file that is a result, and what the database says of frames and rows."""
    kinds = (".png", ".json", ".md", ".html", ".npz")
    found: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in kinds
    }
    with RunReader(folder) as reader:
        found["rows"] = repr([row.values for row in reader.rows()])
        found["books"] = reader.books()
    return found


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a scheduler that has two workers."""
    with dask_cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    said = make_said()
    said.records[-1:] = [make_drop(7), *said.records[-1:]]
    return write(tmp_path / "run.mcap", items_of(said.without(7)))


def test_a_replay_on_a_cluster_gives_the_same_folder(
    recording: Path, tmp_path: Path, scheduler: str
) -> None:
    here = replay(recording, tmp_path / "here", PoolWorkers(1))
    workers = on_cluster(scheduler)
    there = replay(recording, tmp_path / "there", workers)
    counts = workers.counts()
    assert (counts.cluster_calls, counts.brought_back) == (23, 0)
    assert counts.cluster_chunks < 23, "frames go in chunks"
    expected = results(here)
    assert results(there) == expected
    assert sum(name.startswith("frames/") for name in expected) == 9
    assert sum(name.endswith(".png") for name in expected) == 9


def test_a_worker_that_is_killed_midway_costs_nothing(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other workers have its frames then, each once."""
    calls = replace(CALLS, analyze="analyzer_service.analyses.frame:analyze_frame")
    quick = replace(REAL, calls=calls)
    here = replay(recording, tmp_path / "here", PoolWorkers(1), quick)
    marker = tmp_path / "worker"
    monkeypatch.setenv("SIDELIGHT_TEST_MARKER", str(marker))
    with dask_cluster(2) as cluster:
        killing = replace(quick, calls=replace(calls, analyze=f"{HERE}:kill_worker_once"))
        workers = on_cluster(cluster.scheduler_address)
        there = replay(recording, tmp_path / "there", workers, killing)
    assert marker.exists(), "a worker was killed"
    assert workers.counts().cluster_calls == 23
    assert workers.counts().brought_back == 0
    assert results(there) == results(here)


def test_a_live_run_on_a_cluster_gives_what_its_replay_gives_here(
    address: Address, tmp_path: Path, scheduler: str
) -> None:
    said = make_said(epochs=1)
    workers = on_cluster(scheduler)
    live = record_live(address, tmp_path / "live", said, pipeline=REAL, workers=workers)
    counts = workers.counts()
    assert (counts.cluster_calls, counts.brought_back) == (12, 0)
    again = replay(live / "stream.mcap", tmp_path / "again", PoolWorkers(1))
    assert result_files(again) == result_files(live)
