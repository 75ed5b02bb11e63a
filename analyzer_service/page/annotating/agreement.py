"""Agreement on one tile, live: by the functions that the validation report is made with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyzer_service.analyses.masks import NAMES, Mask, mask_scores
from analyzer_service.annotations.geojson import read_feature
from analyzer_service.annotations.regions import Fault, Region
from analyzer_service.clinical.interface import task_list
from analyzer_service.clinical.matching import Reading, Readings
from analyzer_service.clinical.scoring import agreements, score_pair
from analyzer_service.clinical.validating import given_of, masks_of
from analyzer_service.page.annotating.document import Document
from analyzer_service.page.annotating.showing import show_others
from analyzer_service.page.annotating.store import Annotations
from analyzer_service.page.annotating.tiles import Tile, Tiles
from analyzer_service.page.answers import PageError

_BY_AREA: Final = ("area_matched", "half_maximum")

Masks = Mapping[str, Mapping[str, Mask]]


@dataclass(frozen=True)
class Asking:
    """Who asks, and of what."""

    run: Path
    tile: Tile
    reader: str
    others: bool


def agreement(asking: Asking, tiles: Tiles, annotations: Annotations) -> dict[str, Any]:
    """Attention against the reader's marks of a tile, and readers against each other.

    Attention counts only once it was shown on this tile to this reader; others' marks only where
    asked for, which is put on record. Between two readers precision and recall take the second
    one's marks for the reference.

    Raises
    ------
    PageError
        404, if the tile's frame is gone; 409, if marks cannot be read; 403 or 507, if that
        others' marks were shown cannot be put on record.
    """
    name, reader = asking.tile.name, asking.reader
    own = (
        show_others(annotations, reader, name) if asking.others else annotations.read(reader, name)
    )
    frame = tiles.frame(asking.run, asking.tile)
    height, width = frame.input.shape[1:3]
    documents = {reader: own}
    if asking.others:
        documents |= _others(annotations, reader, name)
    masks = _masks(asking, tiles, annotations, documents, (height, width))
    gates = {layer: maps[asking.tile.kept.position] for layer, maps in frame.attention.items()}
    shown = own.record.attention_shown_at is not None
    return {
        "attention": list(_attention(gates, masks.get(reader, {}))) if shown else None,
        "readers": list(_between(masks)) if asking.others else [],
    }


def _attention(gates: Mapping[str, Any], masks: Mapping[str, Mask]) -> Iterator[dict[str, Any]]:
    for label, mask in masks.items():
        if not mask.any():
            continue
        for layer, gate in gates.items():
            scores = score_pair(gate, mask)
            groups = {
                group: {name: scores[f"{group}_{name}"] for name in NAMES} for group in _BY_AREA
            }
            yield {"layer": layer, "label": label, **groups, "auc": scores["auc"]}


def _between(masks: Masks) -> Iterator[dict[str, Any]]:
    for found in agreements(masks):
        if found.between:
            one, other = (masks[reader][found.label] for reader in found.between)
            areas = mask_scores(one, other)
            facts = {"between": list(found.between), "label": found.label}
            yield {**facts, **areas, "nsd": found.values["nsd"]}


def _others(annotations: Annotations, reader: str, tile: str) -> dict[str, Document]:
    documents = {}
    for name in annotations.readers.owners():
        if name != reader:
            try:
                documents[name] = annotations.read(name, tile)
            except PageError:
                continue  # what is wrong with another's file is for them to be told
    return documents


def _masks(
    asking: Asking,
    tiles: Tiles,
    annotations: Annotations,
    documents: Mapping[str, Document],
    shape: tuple[int, int],
) -> dict[str, dict[str, Mask]]:
    """Masks by reader and class, of those whose file says what is in the tile."""
    id_ = asking.tile.kept.sample.id
    readings = {
        reader: {id_: _reading(document)}
        for reader, document in documents.items()
        if _says_something(document)
    }
    labels = _labels(asking.run, tiles, annotations, readings)
    faults: list[Fault] = []
    given = given_of(asking.tile.kept, Readings(readings, labels, 0, []), shape, faults)
    return {reader: masks_of(reading, labels[reader], shape) for reader, reading in given}


def _labels(
    run: Path, tiles: Tiles, annotations: Annotations, readers: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Classes that each reader looks for, as `clinical.matching` has it."""
    owners = annotations.readers.owners()
    scored = [name for name, tile in tiles.listed(run).items() if tile.kept.phase == "val"]
    marked = {
        reader: set().union(*(annotations.summary(owners[reader], tile).labels for tile in scored))
        for reader in readers
    }
    asked = set(task_list(annotations.readers.folder).classes) & set().union(*marked.values())
    return {reader: sorted(own | asked) for reader, own in marked.items()}


def _reading(document: Document) -> Reading:
    regions = [region for region in map(_region, document.features.values()) if region]
    bounds = np.array([region.bounds for region in regions], dtype=np.float64).reshape(-1, 4)
    return Reading(regions, bounds, 0.0, 0.0, of_tile=True, where="")


def _region(feature: Mapping[str, Any]) -> Region | None:
    return read_feature(feature, "").region


def _says_something(document: Document) -> bool:
    """Whether `read_annotations` would find its file usable."""
    if document.status == "marked":
        return any(feature["geometry"]["type"] != "Point" for feature in document.features.values())
    return document.status == "nothing"
