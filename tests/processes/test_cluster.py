"""`--cluster` as a user gives it."""

from pathlib import Path

import pytest

from tests.analyzer_service.cluster.own_cluster import cluster_process
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write
from tests.analyzer_service.receive.test_replay import result_files
from tests.processes.commands import run

pytestmark = pytest.mark.process


def test_recordings_are_replayed_on_a_cluster_into_the_same_folders(tmp_path: Path) -> None:
    names = ("one", "two")
    files = [
        write(
            tmp_path / f"{name}.mcap",
            items_of(make_said(epochs=1, run_id=f"id-{name}", run_name=name)),
        )
        for name in names
    ]
    run("analyzer_service", "replay", *files, "--output-dir", "here", cwd=tmp_path)
    with cluster_process(tmp_path) as (address, _):
        done = run(
            *("analyzer_service", "replay", *files),
            *("--output-dir", "there", "--cluster", address),
            cwd=tmp_path,
        )
    for name in names:
        here, there = (tmp_path / where / f"auto_analysis_{name}" for where in ("here", "there"))
        assert result_files(there) == result_files(here)
        assert f"Run folder  {there}" in done.stdout


@pytest.mark.parametrize("command", ["serve", "replay"])
def test_a_cluster_beyond_this_machine_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    files = ["recording.mcap"] if command == "replay" else []
    done = run(
        *("analyzer_service", command, *files, "--cluster", "tcp://192.0.2.1:8786"),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "--cluster-tls CA CERT KEY" in line
    assert "--allow-plaintext-cluster" in line
