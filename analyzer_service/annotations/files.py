"""Annotation files: what is in one, whichever of the formats it is in, and how one is written."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from shapely.errors import GEOSException

from analyzer_service.annotations.geojson import collection_of, feature_of, read_feature
from analyzer_service.annotations.items import Item, refused
from analyzer_service.annotations.regions import Fault, Region
from analyzer_service.annotations.web_annotation import page_of, read_annotation
from analyzer_service.sinks.replacing import replacing

LARGEST_FILE: Final = 128 << 20
"""Bytes of a file that is read; a larger one is named and left out."""
MOST_ANNOTATIONS: Final = 1_000_000
SUFFIXES: Final = (".geojson", ".json", ".jsonld")
TO_DO: Final = "sidelight_to_do"
"""Member of a file of the task list that nobody has annotated yet; no program writes it back."""
OWN_MEMBER: Final = "sidelight"
"""Member of a file that the live page wrote: the reader's record of the tile."""


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """What a file says.

    Attributes
    ----------
    usable : bool
        Whether it says what is in its image, be it nothing. False for one that could not be read
        as a whole, for one of which no annotation could be used, for one of the task list that is
        still to be done, and for a tile that its reader skipped: none of these says that there is
        nothing.
    regions : tuple of Region
        In the order of the file.
    faults : tuple of Fault
        What was wrong, with its place: ``name, item 3``.
    """

    usable: bool
    regions: tuple[Region, ...]
    faults: tuple[Fault, ...]


def read_annotations(path: Path, *, name: str | None = None) -> AnnotationFile:
    """Annotations of a file: QuPath's GeoJSON or W3C Web Annotation, told apart by what it says.

    A FeatureCollection, a list of features or a single one, with the objects inside of others that
    QuPath may write; an AnnotationPage, a list of annotations or a single one. Whatever is wrong
    with the file is in `faults`: nothing is raised.

    Parameters
    ----------
    path : Path
    name : str, optional
        What to call it in faults; its file name if not given.
    """
    where = path.name if name is None else name
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            return _none("not_annotations", where, "no regular file")
        if path.stat().st_size > LARGEST_FILE:
            return _none("not_annotations", where, f"larger than {LARGEST_FILE >> 20} MiB")
        content = json.loads(path.read_bytes())
    except OSError as error:
        return _none("not_annotations", where, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return _none("not_annotations", where, f"not JSON: {error}")
    if isinstance(content, Mapping) and TO_DO in content:
        return _none("untouched", where, "")
    if (reason := _skipped(content)) is not None:
        return _none("skipped", where, reason)
    items = _items(content)
    if items is None:
        return _none("not_annotations", where, "neither features nor annotations")
    named = list(islice(_with_inner(items), MOST_ANNOTATIONS + 1))
    if len(named) > MOST_ANNOTATIONS:
        return _none("not_annotations", where, f"more than {MOST_ANNOTATIONS:,} annotations")
    read = [_read(item, f"{where}, item {number}") for number, item in named]
    regions = tuple(item.region for item in read if item.region is not None)
    return AnnotationFile(
        usable=bool(regions) or not read,
        regions=regions,
        faults=tuple(fault for item in read for fault in item.faults),
    )


def features_in(content: Any) -> list[Any] | None:
    """What is in a file's content as GeoJSON features, those inside of others beside them.

    Web Annotations are made into features. What cannot be read is left as it is. None where the
    content is neither of features nor of annotations.
    """
    items = _items(content)
    if items is None:
        return None
    return [_as_feature(item) for _, item in islice(_with_inner(items), MOST_ANNOTATIONS)]


def write_geojson(path: Path, regions: Iterable[Region]) -> None:
    """Write regions as a FeatureCollection that QuPath opens.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    with replacing(path) as file:
        json.dump(collection_of(regions), file, allow_nan=False)


def write_web_annotations(path: Path, regions: Iterable[Region], *, source: str) -> None:
    """Write regions of the image `source` (an IRI or a name) as a W3C AnnotationPage.

    Colors, locks and measurements have no place in it.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    with replacing(path) as file:
        json.dump(page_of(regions, source), file, allow_nan=False)


def _items(content: Any) -> list[Any] | None:
    if isinstance(content, list):
        return content
    if not isinstance(content, Mapping):
        return None
    inside = {"FeatureCollection": "features", "AnnotationPage": "items"}
    if content.get("type") in ("Feature", "Annotation"):
        return [content]
    items = content.get(inside.get(str(content.get("type")), ""))
    return items if isinstance(items, list) else None


def _with_inner(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each item with its number, followed by the objects inside of it: "3", "3.1", "3.1.1"."""
    waiting = [(f"{n}", item) for n, item in enumerate(items, 1)][::-1]
    while waiting:
        number, item = waiting.pop()
        yield number, item
        properties = item.get("properties") if isinstance(item, Mapping) else None
        inner = properties.get("childObjects") if isinstance(properties, Mapping) else None
        if isinstance(inner, list):
            waiting += [(f"{number}.{n}", each) for n, each in enumerate(inner, 1)][::-1]


def _as_feature(item: Any) -> Any:
    """One item by itself: without those inside of it."""
    if not isinstance(item, dict):
        return item
    if item.get("type") == "Annotation":
        region = _read(item, "").region
        return item if region is None else feature_of(region)
    properties = item.get("properties")
    if not isinstance(properties, dict) or not isinstance(properties.get("childObjects"), list):
        return item
    own = {name: value for name, value in properties.items() if name != "childObjects"}
    return item | {"properties": own}


def _skipped(content: Any) -> str | None:
    """Why a reader skipped the tile, as the page writes it; None if none did."""
    member = content.get(OWN_MEMBER) if isinstance(content, Mapping) else None
    record = member.get("record") if isinstance(member, Mapping) else None
    reason = record.get("skip_reason") if isinstance(record, Mapping) else None
    return reason if isinstance(reason, str) else None


def _read(item: Any, where: str) -> Item:
    kind = item.get("type") if isinstance(item, Mapping) else None
    try:
        if kind == "Feature":
            return read_feature(item, where)
        if kind == "Annotation":
            return read_annotation(item, where)
    except GEOSException as error:  # an outline that cannot even be repaired
        return refused("unreadable", where, str(error))
    return refused("unreadable", where, "neither a Feature nor an Annotation")


def _none(kind: str, where: str, what: str) -> AnnotationFile:
    return AnnotationFile(usable=False, regions=(), faults=(Fault(kind, where, what),))
