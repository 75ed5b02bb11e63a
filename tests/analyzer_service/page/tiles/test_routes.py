"""Steps and tiles as the browser gets them, against arrays that were written."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray
from skimage.draw import polygon2mask
from starlette.testclient import TestClient

from analyzer_service.analyses.nuclei import segment
from tests.analyzer_service.page.tiles.kept_runs import LAYER, SIZE, KnownRun
from tests.builders import START_NS

RUN = "/api/runs/demo"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[KnownRun]:
    run = KnownRun(tmp_path, mpp=0.25)
    for number in (1, 2, 3):
        run.add(number)
    yield run
    run.close()


def arrays_of(body: bytes) -> tuple[dict, dict[str, NDArray]]:
    """What `answers.arrays` sent, read by its description."""
    length = int.from_bytes(body[:4], "little")
    facts = json.loads(body[4 : 4 + length])
    found = {}
    for place in facts.pop("arrays"):
        count = int(np.prod(place["shape"]))
        start = 4 + length + place["offset"]
        array = np.frombuffer(body, "<" + place["dtype"], count, start)
        found[place["name"]] = array.reshape(place["shape"])
    return facts, found


def steps_of(client: TestClient, after: int = 0) -> list[dict]:
    said = client.get(f"{RUN}/steps", params={"after": after}).json()
    return [dict(zip(said["fields"], row, strict=True)) for row in said["rows"]]


def test_steps_are_those_whose_frames_are_kept(client: TestClient, run: KnownRun) -> None:
    run.writer.batch(7)  # a training batch without images
    picture = run.writer.dashboard("val", 2, release=2)
    found = steps_of(client)
    assert [(s["phase"], s["number"], s["global_step"], s["epoch"]) for s in found] == [
        ("val", 1, 10, 0),
        ("val", 2, 20, 1),
        ("val", 3, 30, 2),
    ]
    assert [s["dashboard"] for s in found] == [None, picture.name, None]
    assert [s["samples"] for s in found] == [2, 2, 2]


def test_a_live_tab_asks_only_for_what_is_new(client: TestClient, run: KnownRun) -> None:
    last = steps_of(client)[-1]["release"]
    assert steps_of(client, after=last) == []
    run.add(4)
    assert [s["number"] for s in steps_of(client, after=last)] == [4]
    assert client.get(f"{RUN}/steps", params={"after": last}).json()["total"] == 4


def test_superseded_steps_are_left_out_and_said_to_be(client: TestClient, run: KnownRun) -> None:
    release = steps_of(client)[2]["release"]
    run.writer.start(incarnation=2, resumed_from_step=20)
    assert [s["number"] for s in steps_of(client)] == [1, 2]
    said = client.get(f"{RUN}/frames/val/3", params={"release": release})
    assert said.status_code == 410
    assert "superseded" in said.json()["error"]
    run.add(3)
    assert client.get(f"{RUN}/frames/val/3", params={"release": release}).status_code == 410
    assert client.get(f"{RUN}/frames/val/3").json()["release"] > release


def test_images_and_maps_are_those_that_were_captured(client: TestClient, run: KnownRun) -> None:
    said = client.get(f"{RUN}/frames/val/2/1/maps?image=input&image=reconstruction")
    facts, found = arrays_of(said.content)
    np.testing.assert_array_equal(found["input"], run.images[2][1])
    np.testing.assert_array_equal(found["reconstruction"], run.reconstructions[2][1])
    np.testing.assert_array_equal(found[f"attention_{LAYER}"], run.gates[2][1])
    np.testing.assert_array_equal(found["activation_encoder_kan"], 3 * run.gates[2][1])
    assert found[f"density/attention_{LAYER}"].mean() == pytest.approx(1, abs=1e-6)
    layer = facts["layers"][0]
    assert (layer["name"], layer["primary"], layer["grid"]) == (LAYER, True, [8, 8])
    assert [layer["low"], layer["high"]] == pytest.approx(np.percentile(run.gates[2][1], (1, 99)))
    assert [each["kind"] for each in facts["layers"]] == ["attention", "attention", "activation"]


@pytest.mark.parametrize("name", ["input", "reconstruction"])
def test_pictures_have_every_pixel(client: TestClient, run: KnownRun, name: str) -> None:
    said = client.get(f"{RUN}/frames/val/1/0/{name}.png")
    picture = cv2.imdecode(np.frombuffer(said.content, np.uint8), cv2.IMREAD_COLOR)
    expected = {"input": run.images, "reconstruction": run.reconstructions}[name][1][0]
    np.testing.assert_array_equal(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), expected)


def test_what_is_undefined_is_said_and_has_no_colors(client: TestClient, run: KnownRun) -> None:
    run.add(4, gate=np.full((8, 8), 0.5, np.float32))
    run.add(5, gate=np.full((8, 8), np.nan, np.float32))
    run.add(6, gate=(0.5 + 1e-3 * (run.gates[1][0] - 0.5)).astype(np.float32))
    layers, maps = [], []
    for number in (4, 5, 6):
        facts, found = arrays_of(client.get(f"{RUN}/frames/val/{number}/0/maps").content)
        layers.append(facts["layers"][0])
        maps.append(found)
    assert [layer["status"] for layer in layers] == ["flat", "nonfinite", "ok"]
    assert layers[0]["remark"] == "constant gate: no spatial attention"
    assert layers[1]["remark"] == "gate is not finite: no attention map"
    assert layers[2]["remark"].startswith("weak")
    assert layers[1]["min"] is None
    assert layers[1]["low"] is None
    assert f"density/attention_{LAYER}" not in maps[1]


def test_a_step_has_its_tiles_and_their_numbers(client: TestClient, run: KnownRun) -> None:
    said = client.get(f"{RUN}/frames/val/1").json()
    assert [(t["id"], t["row"], t["col"], t["mpp"]) for t in said["tiles"]] == [
        (sample.id, sample.row, sample.col, 0.25) for sample in run.samples
    ]
    assert (said["height"], said["width"], said["epoch"]) == (SIZE, SIZE, 0)
    assert said["tiles"][0]["numbers"] == {"ssim": 0.5}


def test_nuclei_are_outlined_where_they_are(client: TestClient, run: KnownRun) -> None:
    said = client.get(f"{RUN}/frames/val/1/0/nuclei").json()
    labels = segment(run.images[1][0], mpp=0.25)  # the run's pixel size, the tile says none
    assert (said["count"], said["assumed_mpp"]) == (labels.max(), False)
    assert said["count"] > 1
    inside = np.zeros((SIZE, SIZE), dtype=bool)
    for ring in said["rings"]:
        corners = np.array(ring)[:, ::-1] - 0.5  # scikit-image has a pixel's center at (0, 0)
        inside |= polygon2mask((SIZE, SIZE), corners)
    both, either = (inside & (labels > 0)).sum(), (inside | (labels > 0)).sum()
    assert both / either > 0.93


def test_tiles_that_come_again_are_found(client: TestClient, run: KnownRun) -> None:
    found = client.get(f"{RUN}/probes").json()
    assert found["fields"] == ["release", "number", "position", "epoch", "global_step"]
    assert [tile["id"] for tile in found["tiles"]] == [sample.id for sample in run.samples]
    assert found["tiles"][1]["places"] == [[1, 1, 1, 0, 10], [2, 2, 1, 1, 20], [3, 3, 1, 2, 30]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("frames/val/9", 404),
        ("frames/test/1", 404),
        ("frames/val/1/2/maps", 404),
        ("frames/val/1/0/secret.png", 404),
        ("frames/val/1/0/maps?image=keys", 404),
        ("frames/val/1?release=x", 400),
        ("steps?after=-1", 400),
        (f"frames/val/{10**30}", 404),
    ],
)
def test_what_is_not_there_is_said(
    client: TestClient, run: KnownRun, path: str, status: int
) -> None:
    said = client.get(f"{RUN}/{path}")
    assert said.status_code == status
    assert said.json()["error"].endswith(".")


def test_an_evicted_frame_is_gone_in_words(client: TestClient, run: KnownRun) -> None:
    assert client.get(f"{RUN}/frames/val/1").status_code == 200
    (run.folder / "frames" / "val_000001.npz").unlink()
    assert client.get(f"{RUN}/frames/val/1").status_code == 410  # though it was seen before
    with run.writer.store.transaction():
        run.writer.store.connection.execute("UPDATE frames SET file = NULL WHERE phase_step = 1")
    said = client.get(f"{RUN}/frames/val/1")
    assert said.status_code == 410
    assert "not kept" in said.json()["error"]
    assert [s["number"] for s in steps_of(client)] == [2, 3]


def test_a_damaged_frame_is_told_not_shown(client: TestClient, run: KnownRun) -> None:
    path = run.folder / "frames" / "val_000001.npz"
    whole = path.read_bytes()
    generator = np.random.default_rng(START_NS)
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert client.get(f"{RUN}/frames/val/1/0/maps").status_code == 410
    for _ in range(40):
        broken = bytearray(whole)
        for at in generator.integers(0, len(whole), 30):
            broken[at] ^= 0xFF
        path.write_bytes(broken)
        assert client.get(f"{RUN}/frames/val/1/0/maps").status_code in (200, 410)


def test_a_frame_that_leads_out_of_the_folder_is_not_read(
    client: TestClient, run: KnownRun, tmp_path: Path
) -> None:
    path = run.folder / "frames" / "val_000001.npz"
    path.rename(tmp_path / "elsewhere.npz")
    path.symlink_to(tmp_path / "elsewhere.npz")
    assert client.get(f"{RUN}/frames/val/1").status_code == 410


def test_ten_viewers_at_once_see_the_same(client: TestClient, run: KnownRun) -> None:
    paths = [f"frames/val/{number}/{tile}/maps" for number in (1, 2, 3) for tile in (0, 1)]
    expected = [client.get(f"{RUN}/{path}").content for path in paths]
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(client.get, f"{RUN}/{path}") for _ in range(10) for path in paths]
        assert [each.result().content for each in asked] == expected * 10


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma", "gray"])
def test_colors_are_those_of_matplotlib(client: TestClient, name: str) -> None:
    _, tables = arrays_of(client.get("/api/colors").content)
    levels = (np.arange(256) + 0.5) / 256
    np.testing.assert_array_equal(tables[name], colormaps[name](levels, bytes=True)[:, :3])
