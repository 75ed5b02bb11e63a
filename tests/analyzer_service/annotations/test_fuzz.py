"""Whatever JSON is in a file, reading it ends in regions and faults that can be written."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_service.annotations import FAULTS, rasterize, read_annotations
from analyzer_service.annotations.geojson import collection_of

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    plain | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
ring = st.lists(st.lists(st.integers(-3, 20), min_size=2, max_size=3), max_size=6) | anything
geometry = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Polygon", "MultiPolygon", "Point", "GeometryCollection"]),
        "coordinates": st.lists(ring, max_size=3) | st.lists(st.lists(ring, max_size=2)),
    }
)
measurement = st.fixed_dictionaries({"name": anything, "value": anything})
properties = st.fixed_dictionaries(
    {},
    optional={
        "objectType": anything,
        "classification": anything | st.fixed_dictionaries({"name": anything, "color": anything}),
        "isLocked": anything,
        "measurements": anything | st.lists(measurement, max_size=3),
    },
)
feature = st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": geometry, "properties": properties | anything}
)
selector = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["SvgSelector", "FragmentSelector"]),
        "value": anything | st.text("<svg>polygonpath d=\"'MLHVZz0123456789.,-e/ ", max_size=40),
    }
)
annotation = st.fixed_dictionaries(
    {
        "type": st.just("Annotation"),
        "body": anything,
        "target": st.fixed_dictionaries({"selector": selector | st.lists(selector)}) | anything,
    }
)


@settings(deadline=None, max_examples=100)
@given(content=anything | st.lists(feature | annotation | anything, max_size=4))
def test_any_json(tmp_path_factory: Any, content: Any) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    found = read_annotations(path)
    assert {fault.kind for fault in found.faults} <= FAULTS.keys()
    for fault in found.faults:
        (fault.where + fault.what).encode()
    for region in found.regions:
        region.label.encode()
        assert rasterize(region.polygons, (9, 9)).shape == (9, 9)
    json.dumps(collection_of(found.regions), allow_nan=False).encode()
