"""Marks taken in from files, and given out as files."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import shapely
from shapely.geometry import shape

from analyzer_service.annotations.files import features_in
from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.document import (
    MOST_FEATURES,
    Document,
    check_finite,
    serialize,
)
from analyzer_service.page.annotating.features import (
    STAMP,
    Feature,
    FeatureError,
    digest,
    foreign_properties,
    id_for,
    is_feature_id,
    label_of,
    put_feature,
    stamp_of,
)
from analyzer_service.page.annotating.journal import JOURNAL_FILE
from analyzer_service.page.annotating.ops import Line, seen_by
from analyzer_service.page.annotating.store import Annotations
from analyzer_service.page.answers import PageError


@dataclass
class Importing:
    """Adds what a file holds to a document, leaving what is there as it is.

    Attributes
    ----------
    content : Any
        GeoJSON or Web Annotation, parsed.
    colors : mapping of str to color
        Of the classes that are known.
    shape : (int, int) or None
        Rows and columns of the tile, where they are known.
    imported : int
        Marks that were added.
    faults : list of str
        What was left out, and why.
    """

    content: Any
    colors: Mapping[str, Any]
    shape: tuple[int, int] | None = None
    imported: int = 0
    faults: list[str] = field(default_factory=list)

    def change(self, document: Document, at: str) -> tuple[Document, list[Line]]:
        """The document with what the file holds, as `Annotations.change` asks for it.

        Raises
        ------
        PageError
            422, if it is neither GeoJSON nor Web Annotation, holds too much, or lies as a whole
            beyond the tile.
        """
        found = features_in(self.content)
        if found is None:
            raise PageError(422, "This is neither GeoJSON nor a Web Annotation.")
        self.imported, self.faults = 0, []
        features, lines = dict(document.features), []
        for number, item in enumerate(found, 1):
            try:
                feature = self._feature(item, features, document, at)
            except FeatureError as error:
                self.faults.append(f"item {number}: {error}")
                continue
            if feature is not None:
                features[feature["id"]] = feature
                lines.append(_line(feature))
        if len(features) > MOST_FEATURES:
            raise PageError(422, f"A tile holds {MOST_FEATURES:,} marks at most.")
        self.imported = len(lines)
        if not lines:
            return document, []
        self._check_place([features[line["feature"]]["geometry"] for line in lines])
        record = document.record.but(nothing=False)
        said = [{**line, **seen_by(record)} for line in lines]
        return document.but(features=features, record=record), said

    def _check_place(self, geometries: list[dict[str, Any]]) -> None:
        if self.shape is None:
            return
        height, width = self.shape
        left, top, right, bottom = shapely.bounds(list(map(shape, geometries))).T
        if not ((right >= 0) & (bottom >= 0) & (left <= width) & (top <= height)).any():
            raise PageError(
                422,
                f"All of it lies beyond this tile of {width} x {height} pixels: are these the "
                "coordinates of a whole image? Those files are for the command validate.",
            )

    def _feature(
        self, item: Any, features: Mapping[str, Feature], document: Document, at: str
    ) -> Feature | None:
        """Feature of one item; None if it is there already."""
        if not isinstance(item, dict) or item.get("type") != "Feature":
            raise FeatureError("neither a feature nor an annotation")
        foreign = foreign_properties(item)
        try:
            check_finite(foreign)
        except ValueError as error:
            raise FeatureError("a property that is no number of JSON") from error
        seen = stamp_of(foreign)
        foreign[STAMP] = {"tool": "import"}
        made = put_feature(
            {**item, "id": "", "properties": foreign},
            {"properties": foreign},
            record=document.record,
            at=at,
            colors=self.colors,
        )
        stamp = made["properties"][STAMP]
        for name in ("attention_shown", "others_shown"):
            stamp[name] = stamp[name] or seen.get(name) is True
        own = item.get("id")
        made["id"] = own if is_feature_id(own) else id_for(_bare(made), {})
        if made["id"] in features:
            if _bare(features[made["id"]]) == _bare(made):
                return None
            made["id"] = id_for(_bare(made), {})
        return None if made["id"] in features else made


def export_tile(annotations: Annotations, reader: str, tile: str) -> bytes:
    """A reader's file of a tile, as QuPath opens it.

    Raises
    ------
    PageError
        409, if it cannot be read.
    """
    document = annotations.read(reader, tile)
    content = json.loads(serialize(document, tile=tile, image=f"{tile}.png", reader=reader))
    return json.dumps(content, indent=1).encode()


def export_all(annotations: Annotations, reader: str, tiles: list[str]) -> Iterator[bytes]:
    """A zip of a reader's files of all tiles that were opened, and the audit log, in pieces."""
    folder = annotations.readers.find(reader)
    sink = _Pieces()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        for tile in tiles if folder else ():
            try:
                revision = annotations.read(reader, tile).revision
                data = export_tile(annotations, reader, tile) if revision else None
            except PageError as error:
                packed.writestr(f"{tile}.error.txt", f"{error.sentence}\n")
                data = None
            if data is not None:
                packed.writestr(f"{tile}.geojson", data)
            yield sink.take()
        if folder and (log := durable.read(folder / JOURNAL_FILE)):
            packed.writestr(JOURNAL_FILE, log[0])
    yield sink.take()


class _Pieces(io.RawIOBase):
    """What a zip file is written into, and taken out of piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        piece = bytes(self._held)
        self._held.clear()
        return piece


def _line(feature: Feature) -> Line:
    return {
        "op": "put",
        "op_id": None,
        "import": True,
        "feature": feature["id"],
        "new": True,
        "class": label_of(feature),
        "geometry": digest(feature["geometry"]),
        "stamp": stamp_of(feature["properties"]),
    }


def _bare(feature: Feature) -> dict[str, Any]:
    """What a mark marks: two that agree in it are one."""
    return {"geometry": feature["geometry"], "class": label_of(feature)}
