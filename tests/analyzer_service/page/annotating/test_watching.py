"""Changes are told, whoever made them."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analyzer_service.page.annotating.readers import ReaderFolders
from analyzer_service.page.annotating.store import Annotations
from analyzer_service.page.annotating.tiles import Tiles
from analyzer_service.page.annotating.watching import Watch
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders
from tests.analyzer_service.annotations.drawing import SQUARE, collection, feature
from tests.analyzer_service.page.annotating.drawing import RUN, Drawing, put


def watch(drawing: Drawing, reader: str = "anna") -> Watch:
    """Another process's: it shares nothing but the files with the page that is asked."""
    root = drawing.folder.parent
    annotations = Annotations(ReaderFolders(drawing.folder, root))
    return Watch(RunFolders(root), Tiles(root), annotations, RUN, reader)


def test_at_first_the_marks_that_are_there_are_told(drawing: Drawing) -> None:
    tile = drawing.names[0]
    assert watch(drawing).look() == [("overview", {})]
    drawing.post(tile, put())
    drawing.post(tile, put())
    told = [("overview", {}), ("marks", {"tile": tile, "revision": 2})]
    watching = watch(drawing)
    assert watching.look() == told
    assert watching.look() == []


def test_changes_of_others_are_told(drawing: Drawing) -> None:
    tile = drawing.names[1]
    drawing.post(tile, put())
    watching = watch(drawing)
    watching.look()
    drawing.post(tile, put())
    assert watching.look() == [("marks", {"tile": tile, "revision": 2})]
    drawing.path(tile).write_text(json.dumps(collection(feature(SQUARE))))
    assert watching.look() == [("marks", {"tile": tile, "revision": 3})]
    assert drawing.marks(tile)["revision"] == 3
    assert watching.look() == []
    drawing.path(tile).unlink()
    assert watching.look() == [("marks", {"tile": tile, "revision": 4})]
    assert drawing.marks(tile)["revision"] == 4


def test_another_readers_marks_are_not_told(drawing: Drawing) -> None:
    watching = watch(drawing)
    watching.look()
    drawing.post(drawing.names[0], put(), reader="ben")
    assert watching.look() == [("overview", {})]  # one more reads
    drawing.post(drawing.names[0], put(), reader="ben")
    assert watching.look() == []


def test_classes_are_told(drawing: Drawing, client: TestClient) -> None:
    watching = watch(drawing)
    watching.look()
    body = {"classes": [{"name": "mitosis", "color": [1, 2, 3]}]}
    client.put("/api/runs/demo/annotations/classes", json=body)
    assert watching.look() == [("overview", {})]


def test_a_run_that_is_gone_ends_it(drawing: Drawing, tmp_path: Path) -> None:
    watching = watch(drawing)
    watching.look()
    drawing.folder.rename(tmp_path / "away")
    with pytest.raises(PageError):
        watching.look()
