"""What charts are sent, against the rows themselves; the browser's side of it is in test_charts."""

import asyncio
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.testclient import TestClient

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.run_rows import Source
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.watching.live import Watchers
from analyzer_service.page.watching.series import Asked, Series
from tests.analyzer_service.sinks.runs import LAYERS, RunWriter
from tests.builders import make_batch

Floats = NDArray[np.float64]


def read_arrays(body: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Facts and arrays of a body, by the format that `arrays` documents."""
    (length,) = struct.unpack_from("<I", body)
    facts = json.loads(body[4 : 4 + length])
    found = {}
    for place in facts.pop("arrays"):
        size = int(np.prod(place["shape"]))
        at = 4 + length + place["offset"]
        found[place["name"]] = np.frombuffer(body, f"<{place['dtype']}", size, at)
    return facts, found


def write_rows(run: RunWriter, losses: Floats, *, phase: str = "train", ranks: int = 1) -> None:
    """A row for each loss; rows of several ranks share their step."""
    run.store.connection.execute("PRAGMA synchronous = OFF")
    with run.store.transaction():
        for number, loss in enumerate(losses.tolist()):
            step, rank = divmod(number, ranks)
            batch = make_batch(step + 1, phase=phase, frame=None, loss=loss, rank=rank)
            run.cseq += 1
            run.released.add_batch(Source(run.origin, run.cseq, run.started), batch, None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Floats]:
    """Run "a" and its losses: 3,000 training rows with an outlier in row 1,501."""
    made = np.random.default_rng(3).normal(size=3000)
    made[1500] = 1e6
    folder = tmp_path_factory.mktemp("series") / "auto_analysis_a"
    run = RunWriter(folder)
    write_rows(run, made)
    write_rows(run, made[:40], phase="val", ranks=2)
    run.close()
    return folder, made


@pytest.fixture
def losses(tmp_path: Path, written: tuple[Path, Floats]) -> Floats:
    """Losses of run "a", which is in the output folder."""
    folder, made = written
    shutil.copytree(folder, tmp_path / folder.name)
    return made


def ask(client: TestClient, query: str) -> tuple[dict[str, Any], dict[str, Floats]]:
    response = client.get(f"/api/runs/a/series?{query}")
    assert response.status_code == 200, response.text
    return read_arrays(response.content)


def test_a_whole_view_has_means_and_extremes_of_equally_many_rows(
    client: TestClient, losses: Floats
) -> None:
    facts, found = ask(client, "phase=train&name=loss&points=100")
    assert (facts["level"], facts["first_bucket"], facts["rows"]) == (5, 0, 3000)
    assert facts["exact"] is False
    parts = [losses[at : at + 32] for at in range(0, 3000, 32)]
    np.testing.assert_allclose(found["loss"], [part.mean() for part in parts], rtol=1e-12)
    np.testing.assert_array_equal(found["loss:low"], [part.min() for part in parts])
    np.testing.assert_array_equal(found["loss:high"], [part.max() for part in parts])
    steps = [np.arange(at, min(at + 32, 3000)).mean() + 1 for at in range(0, 3000, 32)]
    np.testing.assert_allclose(found["x"], steps, rtol=1e-12)


def test_no_point_of_validation_lies_between_two_passes(client: TestClient, tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    with run.store.transaction():
        for number in range(1, 91):  # three passes of 30 batches, at the steps 100, 200 and 300
            step = 100 * (1 + (number - 1) // 30)
            keys = {"global_step": step, "epoch": step // 100 - 1, "loss": float(number)}
            batch = make_batch(number, phase="val", frame=None, **keys)
            run.cseq += 1
            run.released.add_batch(Source(run.origin, run.cseq, run.started), batch, None)
    run.close()
    facts, found = ask(client, "phase=val&name=loss&points=12")
    assert facts["level"] == 3
    parts = [np.arange(at, min(at + 8, 90)) for at in range(0, 90, 8)]
    np.testing.assert_array_equal(found["x"], [100.0 * (1 + part[-1] // 30) for part in parts])
    np.testing.assert_array_equal(found["loss"], [part.mean() + 1 for part in parts])
    np.testing.assert_array_equal(found["loss:low"], [part[0] + 1 for part in parts])


def test_a_close_view_has_the_rows_themselves_and_one_more_on_each_side(
    client: TestClient, losses: Floats
) -> None:
    facts, found = ask(client, "phase=train&name=loss&from=1490&to=1510&points=100")
    assert (facts["level"], facts["exact"]) == (0, True)
    np.testing.assert_array_equal(found["x"], np.arange(1489, 1512))
    np.testing.assert_array_equal(found["loss"], losses[1488:1511])
    assert set(found) == {"x", "loss"}


def test_a_tail_continues_a_view(client: TestClient, losses: Floats) -> None:
    whole_facts, whole = ask(client, "phase=train&name=loss&points=100")
    level = whole_facts["level"]
    facts, tail = ask(client, f"phase=train&name=loss&points=100&level={level}&after=90")
    assert facts["first_bucket"] == 91
    for name in ("x", "loss", "loss:low", "loss:high"):
        np.testing.assert_array_equal(tail[name], whole[name][91:])
    _, nothing = ask(client, f"phase=train&name=loss&level={level}&after=93")
    assert len(nothing["x"]) == 0


@pytest.mark.usefixtures("losses")
def test_rows_of_several_ranks_come_in_the_order_of_their_steps(client: TestClient) -> None:
    facts, found = ask(client, "phase=val&name=loss&name=rank")
    assert facts["rows"] == 40
    np.testing.assert_array_equal(found["rank"], np.tile([0, 1], 20))
    assert (np.diff(found["x"]) >= 0).all()


@pytest.mark.usefixtures("losses")
def test_views_beyond_the_rows_and_unknown_metrics_are_empty(client: TestClient) -> None:
    _, beyond = ask(client, "name=loss&from=1e9")
    assert len(beyond["x"]) <= 1
    _, unknown = ask(client, "name=no_such_metric&points=10")
    assert np.isnan(unknown["no_such_metric"]).all()


@pytest.mark.parametrize(
    "query",
    [
        "phase=test&name=loss",
        "phase=train",
        "name=loss&points=0",
        "name=loss&points=many",
        "name=loss&from=nan",
        "name=loss&level=99",
        "&".join(f"name=n{i}" for i in range(600)),
    ],
)
@pytest.mark.usefixtures("losses")
def test_what_cannot_be_answered_is_said(client: TestClient, query: str) -> None:
    response = client.get(f"/api/runs/a/series?{query}")
    assert response.status_code == 400
    assert response.json()["error"]


def test_an_empty_run_has_empty_series_and_no_charts(client: TestClient, tmp_path: Path) -> None:
    RunWriter(tmp_path / "auto_analysis_a").close()
    facts, found = ask(client, "name=loss")
    assert (facts["rows"], len(found["x"]), len(found["loss"])) == (0, 0, 0)
    assert client.get("/api/runs/a/metrics").json()["groups"] == []


def test_metrics_name_every_number_of_the_rows_once(client: TestClient, tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    for number in range(1, 12):
        run.batch(number, scalars={"lr": 1e-3, "attention_mine": 2.0})
    run.batch(1, phase="val")
    run.close()
    found = client.get("/api/runs/a/metrics").json()
    charts = {chart["key"]: chart for group in found["groups"] for chart in group["charts"]}
    lines = [line["name"] for chart in charts.values() for line in chart["lines"]]
    assert len(lines) == len(set(lines))
    with RunReader(tmp_path / "auto_analysis_a") as reader:
        names = reader.names("batches", upto=reader.state().released)
    keys = {"epoch", "batch_idx", "global_step", "phase_step", "rank", "timestamp"}
    left_out = set(names) - set(lines) - keys - {"batch_size", "samples"}
    # What is left out repeats the primary layer's numbers.
    primary = f"attention_{LAYERS[0]}_"
    assert {f"{primary}{name}" for name in left_out} <= set(names)
    entropy = charts["attention/attention_entropy"]
    assert [line["layer"] for line in entropy["lines"]] == list(LAYERS)
    assert (entropy["good"], entropy["unit"]) == ([2.0, 4.0], "nats")
    assert charts["training/ssim"]["good"] == [0.8, None]
    assert charts["scalars/user_attention_mine"]["lines"][0]["layer"] is None
    assert found["primary"] == LAYERS[0]
    assert found["rows"] == {"train": 11, "val": 1}
    assert "loss" in found["names"]["val"]


def test_viewers_of_one_commit_share_an_answer_and_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    run.batch(1)
    run.close()
    watchers = Watchers(RunFolders(tmp_path))
    monkeypatch.setattr(watchers, "number", lambda run: 1 if run == "a" else 2)
    series = Series(RunFolders(tmp_path), watchers)
    read: list[str] = []

    def counted(run: str, asked: Asked, real: Any = series._read) -> bytes:
        read.append(run)
        return bytes(real(run, asked))

    monkeypatch.setattr(series, "_read", counted)

    def request(query: str, run: str = "a") -> Request:
        scope = {"type": "http", "query_string": query.encode(), "path_params": {"run": run}}
        return Request(scope | {"method": "GET", "headers": []})

    async def look() -> None:
        bodies = await asyncio.gather(*(series.answer(request("name=loss")) for _ in range(10)))
        assert len({bytes(each.body) for each in bodies}) == 1
        assert read == ["a"]
        for _ in range(2):
            with pytest.raises(PageError, match="no run"):
                await series.answer(request("name=loss", "gone"))
        assert read == ["a", "gone", "gone"]
        for points in range(1, 200):
            await series.answer(request(f"name=loss&points={points}"))
        assert len(series._kept) <= 64
        assert series._bytes == sum(len(each.result()) for each in series._kept.values())

    asyncio.run(look())
