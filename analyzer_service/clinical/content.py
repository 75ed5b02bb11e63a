"""A validation as plain values, for JSON and for programs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from analyzer_service.analyses.bootstrap import BootstrapInterval
from analyzer_service.analyses.run_pathology import TissueTest
from analyzer_service.annotations import FAULTS, Fault
from analyzer_service.clinical.summarizing import PairKey, ScoredTile, Summary
from analyzer_service.clinical.validating import Validation
from analyzer_service.sinks.plain import plain

LISTED_FAULTS: Final = 100
"""So many of each kind are listed by name; all are counted."""
STATEMENT: Final = (
    "Evidence for people to judge. It is no verdict on fitness for clinical use, and no number "
    "here has a threshold to pass."
)


def content(validation: Validation) -> dict[str, Any]:
    """All of a validation; undefined numbers are None."""
    values = {
        "statement": STATEMENT,
        "run": _run(validation),
        "annotations": _annotations(validation),
        "layers": layers(validation.tiles),
        "attention": _summaries(validation.attention),
        "without_annotation": _summaries(validation.without_annotation),
        "own_or_others": [
            {"reader": one.reader, "class": one.label, **_test(one.test)}
            for one in validation.own_or_others
        ],
        "slides": [
            {**_key(key), "slide": slide, **_summary(summary)}
            for (key, slide), summary in validation.slides.items()
        ],
        "tolerance_px": validation.tolerance_px,
        "agreement": [
            {"class": label, "readers": list(between), **_summary(summary)}
            for (label, between), summary in validation.agreement.items()
        ],
        "faults": _faults(validation.faults),
        "images": [_image(tile) for tile in validation.tiles],
    }
    found: dict[str, Any] = plain(values)
    return found


def layers(tiles: Iterable[ScoredTile]) -> dict[str, dict[str, Any]]:
    """Each layer's grid, and the size of its cells in pixels of the tile: the largest of them."""
    found: dict[str, dict[str, Any]] = {}
    for tile in tiles:
        for pair in tile.pairs:
            grid = pair.gate.shape
            cell = max(tile.shape[0] / grid[0], tile.shape[1] / grid[1])
            if cell > found.get(pair.layer, {}).get("cell_px", 0.0):
                found[pair.layer] = {"grid": list(grid), "cell_px": cell}
    return found


def _run(validation: Validation) -> dict[str, Any]:
    started = validation.started
    slides = {tile.sample.slide for tile in validation.tiles}
    return {
        "run_name": started.run_name,
        "run_id": started.run_id,
        "tiles_kept": validation.kept,
        "tiles_annotated": len(validation.tiles),
        "slides_annotated": len(slides - {None}),
        "tiles_of_unknown_slides": sum(tile.sample.slide is None for tile in validation.tiles),
        "epochs": sorted({tile.epoch for tile in validation.tiles}),
        "mpp": started.mpp,
    }


def _annotations(validation: Validation) -> dict[str, Any]:
    readings = validation.readings
    return {
        "files": readings.files,
        "readers": {
            reader: {"tiles": len(by_tile), "classes": readings.labels[reader]}
            for reader, by_tile in readings.by_reader.items()
        },
    }


def _summaries(found: Mapping[PairKey, Summary]) -> list[dict[str, Any]]:
    return [{**_key(key), **_summary(summary)} for key, summary in found.items()]


def _key(key: PairKey) -> dict[str, str]:
    return {"reader": key.reader, "class": key.label, "layer": key.layer}


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "tiles": summary.tiles,
        "slides": summary.slides,
        "intervals_over": "slides" if summary.by_slide else "tiles",
        "scores": {name: _interval(mean) for name, mean in summary.means.items()},
    }


def _interval(mean: BootstrapInterval) -> dict[str, Any]:
    return {
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "level": mean.level,
        "n": mean.n,
        "undefined": mean.left_out,
    }


def _test(test: TissueTest) -> dict[str, Any]:
    names = ("layer", "kind", "n", "matched", "low", "high", "mismatched", "effect")
    more = ("effect_low", "effect_high", "p", "p_adjusted")
    return {name: getattr(test, name) for name in (*names, *more)}


def _faults(faults: Iterable[Fault]) -> dict[str, Any]:
    every = list(faults)
    counts = Counter(fault.kind for fault in every)
    return {
        kind: {
            "count": counts[kind],
            "meaning": words,
            "listed": [
                {"where": fault.where, "what": fault.what} for fault in every if fault.kind == kind
            ][:LISTED_FAULTS],
        }
        for kind, words in FAULTS.items()
        if counts[kind]
    }


def _image(tile: ScoredTile) -> dict[str, Any]:
    return {
        "tile": tile.sample.id,
        "source": tile.sample.source,
        "slide": tile.sample.slide,
        "row": tile.sample.row,
        "col": tile.sample.col,
        "epoch": tile.epoch,
        "global_step": tile.global_step,
        "attention": [
            {
                "reader": pair.reader,
                "class": pair.label,
                "layer": pair.layer,
                "annotated": pair.annotated,
                "scores": dict(pair.scores),
            }
            for pair in tile.pairs
        ],
        "agreement": [
            {"class": one.label, "readers": list(one.between), "values": dict(one.values)}
            for one in tile.agreements
        ],
    }
