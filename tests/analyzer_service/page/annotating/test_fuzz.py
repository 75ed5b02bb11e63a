"""JSON of any shape is answered in words, by every route that takes any."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings
from tests.analyzer_service.annotations.drawing import SQUARE
from tests.analyzer_service.page.annotating.drawing import Drawing, a_feature, put

ID = "6a8d0f7e-0000-4000-8000-000000000001"
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["Polygon", "MultiPolygon", "Point", "Feature", "put", ID, "\ud800", 10**400])
)
keys = st.sampled_from(
    [
        *("type", "geometry", "coordinates", "properties", "classification", "name", "color", "id"),
        *("sidelight", "features", "ops", "op", "op_id", "feature", "field", "value", "geometries"),
        *("classes", "childObjects", "measurements", "isLocked", "objectType", "target", "body"),
    ]
) | st.text(max_size=3)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=25,
)
numbers = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | leaves
rings = st.lists(st.lists(numbers, max_size=3), max_size=6) | st.just(SQUARE)
geometries = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Polygon", "MultiPolygon", "Point", "LineString", 3]),
        "coordinates": st.lists(rings, max_size=3) | rings | st.lists(numbers, max_size=3),
    }
)
features = st.fixed_dictionaries(
    {"type": st.just("Feature"), "id": st.just(ID) | leaves, "geometry": geometries | anything},
    optional={"properties": anything},
)
ops = st.fixed_dictionaries(
    {"op": st.sampled_from(["put", "delete", "record", "shown"]) | leaves},
    optional={
        "op_id": st.text(max_size=4) | leaves,
        "feature": features | anything,
        "id": leaves,
        "field": st.sampled_from(["confidence", "comment", "skip_reason", "nothing"]) | leaves,
        "value": anything,
        "what": st.sampled_from(["attention", "others"]) | leaves,
        "layer": leaves,
    },
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawing]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    app = build_app(PageSettings(folder))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield Drawing(client, folder)


def answered_in_words(fuzzed: Drawing, method: str, path: str, content: Any) -> None:
    url = f"/api/runs/demo/annotations/{path}"
    answered = fuzzed.client.request(method, url, content=json.dumps(content).encode())
    assert answered.status_code in (200, 422), answered.text
    if answered.status_code == 422:
        assert len(answered.json()["error"]) > 10


quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(content=st.fixed_dictionaries({"ops": st.lists(ops, max_size=4)}) | anything)
def test_operations(fuzzed: Drawing, content: Any) -> None:
    tile = fuzzed.names[0]
    answered_in_words(fuzzed, "POST", f"tiles/{tile}/marks?reader=anna", content)
    fuzzed.marks(tile)
    assert fuzzed.get(f"tiles/{tile}/agreement", reader="anna", others="true").status_code == 200


@quick
@given(content=st.lists(features | anything, max_size=3) | features | anything)
def test_imports(fuzzed: Drawing, content: Any) -> None:
    answered_in_words(fuzzed, "POST", f"tiles/{fuzzed.names[1]}/import?reader=anna", content)
    fuzzed.marks(fuzzed.names[1])


@quick
@given(content=st.lists(features | anything, max_size=3) | anything, own=anything)
def test_files_of_others(fuzzed: Drawing, content: Any, own: Any) -> None:
    """Whatever another program left: shown, or refused and left alone."""
    tile = fuzzed.names[2]
    path = fuzzed.path(tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    collection = {"type": "FeatureCollection", "features": content, "sidelight": own}
    path.write_text(json.dumps(collection if isinstance(content, list) else content))
    found = fuzzed.get(f"tiles/{tile}/marks", reader="anna")
    assert found.status_code in (200, 409), found.text
    answered = fuzzed.post(tile, put())
    assert answered.status_code == found.status_code, answered.text
    assert fuzzed.get(f"tiles/{tile}/agreement", reader="anna").status_code == found.status_code
    assert fuzzed.get("overview", reader="anna").status_code == 200


@quick
@given(
    content=st.fixed_dictionaries(
        {
            "op": st.sampled_from(["union", "subtract"]),
            "geometries": st.lists(geometries, min_size=1, max_size=3),
        }
    )
    | anything
)
def test_geometry(fuzzed: Drawing, content: Any) -> None:
    answered_in_words(fuzzed, "POST", "geometry", content)


@quick
@given(content=st.fixed_dictionaries({"classes": anything}) | anything)
def test_classes(fuzzed: Drawing, content: Any) -> None:
    answered_in_words(fuzzed, "PUT", "classes", content)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 10**6, b"\xff\xfe", b"NaN", b'{"ops": 1e999}'])
def test_what_is_no_json(fuzzed: Drawing, body: bytes) -> None:
    for path in (f"tiles/{fuzzed.names[0]}/marks?reader=anna", "geometry"):
        answered = fuzzed.client.post(f"/api/runs/demo/annotations/{path}", content=body)
        assert answered.status_code == 422


def test_sizes_are_bounded(fuzzed: Drawing) -> None:
    tile = fuzzed.names[0]
    url = f"/api/runs/demo/annotations/tiles/{tile}/marks?reader=big"
    assert fuzzed.client.post(url, content=b" " * (8 << 20 | 1)).status_code == 413
    comment = {"op": "record", "field": "comment", "value": "x" * 10_001}
    assert fuzzed.post(tile, comment, reader="big").status_code == 422
    assert fuzzed.post(tile, *[comment] * 501, reader="big").status_code == 422
    point = a_feature({"type": "Point", "coordinates": [1, 2]})
    many = [{**point, "id": f"{n:08x}-0000-4000-8000-000000000000"} for n in range(10_000)]
    imported = fuzzed.client.post(url.replace("marks", "import"), json=many)
    assert imported.json()["imported"] == 10_000
    refused = fuzzed.post(tile, put(), reader="big")
    assert refused.status_code == 422
    assert "10,000 marks at most" in refused.json()["error"]
