"""Runs side by side, as the server tells it."""

from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from tests.analyzer_service.page.watching.test_series import write_rows
from tests.analyzer_service.sinks.runs import RunWriter


def _run(root: Path, name: str, losses: list[float], **config: object) -> None:
    run = RunWriter(root / f"auto_analysis_{name}", run_name=name, config=config)
    write_rows(run, np.array(losses))
    run.close()


def test_settings_that_differ_and_means_of_the_last_rows(
    client: TestClient, tmp_path: Path
) -> None:
    losses = np.random.default_rng(5).normal(size=100).tolist()
    _run(tmp_path, "a", losses, lr=0.1, depth=3)
    _run(tmp_path, "b", [1.0, float("nan"), 3.0], lr=0.2, depth=3)
    found = client.get("/api/compare?run=b&run=a").json()
    assert [each["run"] for each in found["runs"]] == ["b", "a"]
    assert {"name": "config.lr", "values": ["0.2", "0.1"]} in found["settings"]
    assert "config.depth" not in [setting["name"] for setting in found["settings"]]
    (loss,) = (line for line in found["last"] if line["label"] == "Loss, training")
    np.testing.assert_allclose(loss["values"], [2.0, np.mean(losses[-64:])], rtol=1e-12)


def test_runs_that_are_not_there_or_not_named_are_said(client: TestClient, tmp_path: Path) -> None:
    _run(tmp_path, "a", [1.0])
    assert client.get("/api/compare?run=a&run=none").status_code == 404
    assert client.get("/api/compare").status_code == 400
    nine = "&".join(f"run=r{i}" for i in range(9))
    assert client.get(f"/api/compare?{nine}").status_code == 400


def test_a_run_of_another_version_is_named(client: TestClient, tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    with run.store.transaction():
        run.store.connection.execute("""UPDATE producers SET started = '{"type": "other"}'""")
    run.close()
    for path in ("/api/compare?run=a", "/api/runs/a/metrics"):
        response = client.get(path)
        assert response.status_code == 409
        assert "another version" in response.json()["error"]


def test_a_run_that_has_said_nothing_is_told_so(client: TestClient, tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    with run.store.transaction():
        run.store.connection.execute("DELETE FROM producers")
    run.close()
    response = client.get("/api/runs/a/metrics")
    assert response.status_code == 409
    assert "holds nothing yet" in response.json()["error"]
