"""Files in a folder, and the tiles that they go to."""

import os
from collections import Counter
from pathlib import Path

import pytest

from analyzer_service.clinical.matching import match
from analyzer_service.commit.kept_tiles import KeptTile
from shared.errors import ConfigurationError
from shared.messages import Sample
from tests.analyzer_service.annotations.drawing import region_of
from tests.analyzer_service.clinical.runs import SIZE, annotate, annotate_image, make_tiles, spot


def kept(samples: list[Sample], phase: str = "val") -> list[KeptTile]:
    return [KeptTile(sample, phase, 0, 1, "f.npz", i) for i, sample in enumerate(samples)]  # type: ignore[arg-type]


def test_a_tiles_own_file_goes_before_that_of_its_image(tmp_path: Path) -> None:
    one, two = make_tiles(2)
    annotate(tmp_path, one, {"a": spot(0, 0)})
    annotate_image(tmp_path, "s0/a.png", [region_of(spot(8, 8), label="b")])
    found = match(tmp_path, kept([one, two]))
    own, of_image = (found.by_reader["annotation"][tile.id] for tile in (one, two))
    assert (own.of_tile, own.left, own.top) == (True, 0, 0)
    assert (of_image.of_tile, of_image.left, of_image.top) == (False, SIZE, 0)
    assert [region.label for region in own.regions] == ["a"]
    assert found.labels == {"annotation": ["a", "b"]}
    assert (found.files, found.faults) == (2, [])


def test_what_fits_no_tile_is_named_and_counted(tmp_path: Path) -> None:
    tiles = make_tiles(2, slides=2)
    training = make_tiles(1, id="shuffled", source="t.png", slide="t")
    annotate(tmp_path, tiles[0], {"a": spot(0, 0), "b": spot(8, 8)})
    region = region_of(spot(0, 0), label="a")
    for name in ("other", "a", "shuffled", "s0/a", "s0/a.png"):
        annotate_image(tmp_path, name, [region])
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "a.json").write_text("not JSON")
    (tmp_path / "notes.txt").write_text("not looked at")
    found = match(tmp_path, kept(tiles) + kept(training, "train"), classes=["a"])
    where = {fault.kind: fault.where for fault in found.faults}
    assert Counter(fault.kind for fault in found.faults) == {
        "unknown_tile": 1,
        "training_tile": 1,
        "ambiguous": 1,
        "twice": 1,
        "unknown_class": 1,
        "not_annotations": 1,
    }
    assert where["unknown_tile"] == "other.geojson"
    assert where["ambiguous"] == "a.geojson"
    assert where["twice"] == "s0/a.png.geojson"
    assert list(found.by_reader["annotation"]) == [tiles[0].id]
    assert found.labels == {"annotation": ["a"]}


def test_tiles_without_a_place_cannot_take_from_their_image(tmp_path: Path) -> None:
    annotate_image(tmp_path, "a", [region_of(spot(0, 0))])
    found = match(tmp_path, kept(make_tiles(2, source="a.png", col=None)[:1]))
    assert [fault.kind for fault in found.faults] == ["unplaced"]
    assert found.by_reader == {"annotation": {}}


def test_readers_have_folders(tmp_path: Path) -> None:
    (tile,) = make_tiles(1)
    annotate(tmp_path / "anna", tile, {"a": spot(0, 0)})
    annotate_image(tmp_path / "ben", "s0/a.png", [region_of(spot(0, 0), label="b")])
    annotate(tmp_path / "not asked", tile, {"c": spot(0, 0)})
    found = match(tmp_path, kept([tile]), readers=["anna", "ben"])
    assert found.labels == {"anna": ["a"], "ben": ["b"]}
    assert all(tile.id in by_tile for by_tile in found.by_reader.values())
    assert found.files == 2


def test_a_file_name_that_is_no_text_is_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.geojson")).write_text("[]")
    (fault,) = match(tmp_path, kept(make_tiles(1))).faults
    assert (fault.kind, fault.where) == ("unknown_tile", "caf\\udce9.geojson")


def test_folders_without_annotations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no annotations in"):
        match(tmp_path, [])
    with pytest.raises(ConfigurationError, match="is no folder"):
        match(tmp_path, [], readers=["anna"])
    with pytest.raises(ConfigurationError, match="consensus is called so"):
        match(tmp_path, [], readers=["consensus"])
