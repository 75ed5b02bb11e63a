"""Runs of real tissue whose gates are known to follow it, or not."""

import numpy as np
import skimage

from analyzer_service.analyses.overlap import mean_regrid
from analyzer_service.analyses.stain import stain_densities
from analyzer_service.pipeline import Origin
from shared.messages import BatchFrame, Layer, Sample
from tests.analyzer_service.pipeline.driving import Said
from tests.builders import (
    make_batch,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
)

SIDE, GRID, TILES = 64, 16, 24


def validated(
    *, tiles: int = TILES, slides: tuple[str | None, ...] = (None,), batch_idx: int = 9
) -> Said:
    """One validation epoch of real tissue; ``seeing`` follows hematoxylin, ``habit`` a ramp.

    Frames of batches beyond the first five of an epoch are not kept.
    """
    names = ("seeing", "habit")
    layers = tuple(Layer(name=name, kind="attention") for name in names)
    started = make_run_started(layers=layers, primary_layer="seeing", analysis_freq=1000)
    frames = [frame_of(number, slides, batch_idx) for number in range(1, tiles // 4 + 1)]
    batches = [
        make_batch(number, phase="val", epoch=0, batch_idx=batch_idx)
        for number in range(1, len(frames) + 1)
    ]
    records = [started, *batches, make_epoch_ended(0), make_run_ended()]
    return Said(Origin("rank0", 1), started, records, frames)


def frame_of(number: int, slides: tuple[str | None, ...], batch_idx: int = 9) -> BatchFrame:
    image = skimage.data.immunohistochemistry()
    rng = np.random.default_rng(number)
    places = [(64 * ((4 * number + i) % 8), 64 * ((4 * number + i) // 8)) for i in range(4)]
    tiles = np.stack([image[r : r + SIDE, c : c + SIDE] for r, c in places])
    samples = tuple(
        Sample(id=f"{r}-{c}", slide=slides[(4 * number + i) % len(slides)], mpp=0.5)
        for i, (r, c) in enumerate(places)
    )
    stained = np.stack([stain_densities(tile, "ruifrok_hdab")[..., 0] for tile in tiles])
    seeing = mean_regrid(stained, (GRID, GRID)) + rng.normal(0, 0.05, (4, GRID, GRID))
    habit = np.add.outer(np.arange(GRID), np.arange(GRID)) + rng.normal(0, 1.0, (4, GRID, GRID))
    gates = {"seeing": seeing, "habit": habit}
    attention = {
        name: (1 / (1 + np.exp(-maps / maps.std()))).astype(np.float32)
        for name, maps in gates.items()
    }
    return make_frame(
        number,
        phase="val",
        epoch=0,
        batch_idx=batch_idx,
        samples=samples,
        input=tiles,
        reconstruction=tiles,
        attention=attention,
        activation={},
    )
