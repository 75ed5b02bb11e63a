"""The report's pathology part, of a run whose gates are known to follow the tissue, or not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage

from analyzer_service.analyses.overlap import mean_regrid
from analyzer_service.analyses.stain import stain_densities
from analyzer_service.pipeline import Calls, Origin, PipelineSettings
from analyzer_service.sinks.report import REPORT_NAME
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import BatchFrame, Layer, Sample
from tests.analyzer_service.pipeline.driving import Said, run_whole
from tests.builders import (
    make_batch,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
)

SETTINGS = PipelineSettings(end_grace_s=0.0, calls=Calls())
SIDE, GRID, TILES = 64, 16, 24


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    with_workers = InlineWorkers()
    folder = run_whole(tmp_path_factory.mktemp("run"), with_workers, validated(), settings=SETTINGS)
    with_workers.close()
    return (folder / REPORT_NAME).read_text()


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def validated(*, tiles: int = TILES, slides: tuple[str | None, ...] = (None,)) -> Said:
    """One validation epoch of real tissue; ``seeing`` follows hematoxylin, ``habit`` a ramp."""
    names = ("seeing", "habit")
    layers = tuple(Layer(name=name, kind="attention") for name in names)
    started = make_run_started(layers=layers, primary_layer="seeing", analysis_freq=1000)
    frames = [frame_of(number, slides) for number in range(1, tiles // 4 + 1)]
    batches = [
        make_batch(number, phase="val", epoch=0, batch_idx=9)
        for number in range(1, len(frames) + 1)
    ]
    records = [started, *batches, make_epoch_ended(0), make_run_ended()]
    return Said(Origin("rank0", 1), started, records, frames)


def frame_of(number: int, slides: tuple[str | None, ...]) -> BatchFrame:
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
        batch_idx=9,
        samples=samples,
        input=tiles,
        reconstruction=tiles,
        attention=attention,
        activation={},
    )


def section(report: str, start: str, end: str) -> str:
    return report[report.index(start) : report.index(end, report.index(start) + 1)]


def test_attention_that_follows_hematoxylin_is_said_to(report: str) -> None:
    layer = section(report, "#### `seeing`", "#### `habit`")
    (line,) = [line for line in layer.splitlines() if line.startswith("| hematoxylin, r")]
    assert "attention seeks hematoxylin" in line
    assert "times as often as chance, 95 % CI" in layer
    assert re.search(r"over 2\d tiles; with the nuclei of other tiles", layer)


def test_a_habit_is_no_effect_and_is_warned_of(report: str) -> None:
    layer = section(report, "#### `habit`", '"Own tissue"')
    lines = [line for line in layer.splitlines() if line.startswith("| ") and ", r" in line]
    assert len(lines) == 8
    assert all("no effect shown" in line for line in lines)
    assert "cannot be told from a habit" in layer
    assert "**`habit` looks at the same places whatever the tile shows**" in report
    assert "**`seeing` looks at" not in report


def test_one_unnamed_slide_is_said_to_be_one(report: str) -> None:
    assert f"{TILES} distinct validation tiles of epoch 0, slides that are not named" in report
    assert "say nothing of others" in report


def test_slides_are_permuted_and_said(tmp_path: Path, workers: Workers) -> None:
    said = validated(slides=("a", "b", "c", "d", "e", "f"))
    folder = run_whole(tmp_path, workers, said, settings=SETTINGS)
    text = (folder / REPORT_NAME).read_text()
    assert f"{TILES} distinct validation tiles of epoch 0, 6 slides" in text
    assert "exchanged between slides; intervals are over slides" in text


def test_too_few_tiles_are_said_to_be_too_few(tmp_path: Path, workers: Workers) -> None:
    said = validated(tiles=4)
    few = replace(said, frames=[without_tiles(said.frames[0], 3)])
    text = (run_whole(tmp_path, workers, few, settings=SETTINGS) / REPORT_NAME).read_text()
    assert "3 validation tiles with maps: at least 4 are needed" in text


def test_the_tissue_stands_there_in_numbers(report: str) -> None:
    tissue = section(report, "## Pathology", "### Does attention")
    assert "hematoxylin and DAB; fixed stain vectors" in tissue
    for name in ("tissue_fraction", "dab_intensity", "nuclear_count", "texture_contrast"):
        assert f"`{name}`" in tissue
    assert "eosin" not in tissue


def without_tiles(frame: BatchFrame, kept: int) -> BatchFrame:
    """The first tiles of a frame alone."""
    arrays = {name: getattr(frame, name)[:kept] for name in ("input", "reconstruction")}
    attention = {name: maps[:kept] for name, maps in frame.attention.items()}
    return frame.model_copy(
        update={**arrays, "attention": attention, "samples": frame.samples[:kept]}
    )
