"""Steps and tiles as the browser is told of them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.kept_steps import KeptStep
from analyzer_service.page.tiles.layers import FrameLayer, LayerView, by_layer, view_layer
from analyzer_service.page.tiles.probes import RecurringTile
from analyzer_service.page.tiles.reading import ReadStep
from shared.messages import Sample

FIELDS: Final = (
    "release",
    "phase",
    "number",
    "global_step",
    "epoch",
    "rank",
    "samples",
    "ssim",
    "dashboard",
)

PLACE_FIELDS: Final = ("release", "number", "position", "epoch", "global_step")


def step_row(step: KeptStep) -> list[Any]:
    """Values of `FIELDS`: thousands of steps go in one answer."""
    return [
        step.release,
        step.phase,
        step.phase_step,
        step.global_step,
        step.epoch,
        step.rank,
        step.samples,
        step.ssim,
        step.dashboard,
    ]


def tile_row(tile: RecurringTile) -> dict[str, Any]:
    """A tile's id, and values of `PLACE_FIELDS` for each step at which it is kept."""
    places = [
        [at.release, at.phase_step, at.position, at.epoch, at.global_step] for at in tile.places
    ]
    return {"id": tile.id, "places": places}


def tell_step(step: ReadStep) -> dict[str, Any]:
    """Facts of a step, its layers and its tiles, each with its numbers as they are stored."""
    frame, row, layers = step.frame, step.row, step.layers
    assert row.frame is not None
    stored = step.reader.kept_steps().tiles(row.frame)
    files = {(d.phase, d.number): d.file for d in step.reader.dashboards()}
    return {
        "release": row.release,
        "phase": row.phase,
        "number": row.phase_step,
        "global_step": row.global_step,
        "epoch": row.epoch,
        "rank": row.rank,
        "dashboard": files.get((row.phase, row.phase_step)),
        "stain": step.started.stain,
        "height": frame.input.shape[1],
        "width": frame.input.shape[2],
        "layers": [_layer(layer) for layer in layers],
        "tiles": [
            {**_place(sample, step.mpp(position)), **_numbers(stored.get(position, {}), layers)}
            for position, sample in enumerate(frame.samples)
        ],
    }


def tell_tile(step: ReadStep, position: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What is to be known of one tile to draw it, and its maps.

    The maps are ``{kind}_{layer}`` as captured, and ``density/{kind}_{layer}`` in multiples of
    an even share, where that is defined.
    """
    layers = step.layers
    views = [view_layer(layer, position) for layer in layers]
    facts = {
        **_place(step.frame.samples[position], step.mpp(position)),
        "release": step.row.release,
        "layers": [
            {**_layer(layer), **_range(view)} for layer, view in zip(layers, views, strict=True)
        ],
    }
    maps: dict[str, NDArray[Any]] = {}
    for layer, view in zip(layers, views, strict=True):
        maps[layer.key] = view.values
        if view.density is not None:
            maps[f"density/{layer.key}"] = view.density
    return facts, maps


def _place(sample: Sample, mpp: float | None) -> dict[str, Any]:
    return {**sample.model_dump(), "mpp": mpp}


def _layer(layer: FrameLayer) -> dict[str, Any]:
    height, width = layer.maps.shape[1:]
    return {
        "key": layer.key,
        "name": layer.name,
        "kind": layer.kind,
        "primary": layer.primary,
        "grid": [height, width],
    }


def _numbers(values: dict[str, float], layers: list[FrameLayer]) -> dict[str, Any]:
    tile, parted = by_layer(values, layers)
    return {"numbers": tile, "of_layers": parted}


def _range(view: LayerView) -> dict[str, Any]:
    """Status, remark, and the values that scales of one tile go from and to."""
    finite = view.status not in ("nonfinite", "tiny")
    low, high = np.percentile(view.values, (1, 99)) if finite else (np.nan, np.nan)
    return {
        "status": view.status,
        "remark": view.remark,
        "min": view.values.min() if finite else None,
        "max": view.values.max() if finite else None,
        "low": float(low),
        "high": float(high),
    }
