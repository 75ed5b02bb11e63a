"""Dashboards to time: real tissue, another row and history each, so that no text is the last's."""

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from analyzer_service.figures.data import DashboardData, TileQuality
from analyzer_service.figures.panels.progress import HISTORY_NAMES
from shared.messages import BatchFrame, Layer, RunStarted, Sample

RUN = RunStarted(
    run_id="run-0001",
    run_name="ihc-small-2025-11-23",
    producer="rank0",
    started_at_ns=1,
    layers=(Layer(name="bam_384", kind="attention"), Layer(name="bam_16", kind="attention")),
    primary_layer="bam_384",
    tile_size=128,
    stain="ihc",
    mpp=0.5,
    frame_samples=4,
    max_epochs=10,
    total_steps=4000,
    config={},
)
TISSUE = (
    *("tissue_fraction", "hematoxylin_intensity", "dab_intensity", "nuclear_area_fraction"),
    *("nuclear_attention_enrichment", "nuclear_attention_auc", "tissue_attention_correlation"),
    *("tissue_attention_correlation/nuclear_density", "attention_position_bias"),
)
TIMES = ("training_time_ms", "inference_time_ms", "data_time_ms", "memory_mb")


def make_dashboard(number: int, *, size: int = 128, nuclei: bool = False) -> DashboardData:
    """Dashboard `number` of a run: a tile of `size` pixels, two gates, 1000 points of history."""
    generator = np.random.default_rng(number)
    frame = _frame(generator, number, size)
    names = (*HISTORY_NAMES, "mse", "psnr", "nuclear_count", *TISSUE, *TIMES)
    row = dict(zip(names, generator.random(len(names)).tolist(), strict=True))
    whole = {"epoch": 3, "batch_idx": number, "global_step": number, "phase_step": number}
    return DashboardData(
        run=RUN,
        phase="train",
        row=row | whole | {"batch_size": 16, "samples": 4},
        history={"train": _history(generator, 1000), "val": _history(generator, 20)},
        frame=frame,
        tile=TileQuality(*generator.random(3).tolist()),
        nuclei=_discs(generator, size) if nuclei else None,
    )


def _frame(generator: np.random.Generator, number: int, size: int) -> BatchFrame:
    y, x = generator.integers(0, 512 - size + 1, 2)
    tile = skimage.data.immunohistochemistry()[y : y + size, x : x + size]
    blurred = np.asarray(cv2.GaussianBlur(tile, (0, 0), 1.4))
    sample = Sample(id=f"tile-{number}", source="ihc.png", row=int(y), col=int(x), mpp=0.5)
    return BatchFrame(
        phase="train",
        epoch=3,
        batch_idx=number,
        global_step=number,
        phase_step=number,
        stream="train",
        fseq=number,
        captured_at_ns=0,
        samples=(sample,) * 4,
        input=np.stack([tile] * 4),
        reconstruction=np.stack([blurred] * 4),
        attention={
            name: np.stack([_gate(generator, size // cell)] * 4)
            for name, cell in (("bam_384", 4), ("bam_16", 8))
        },
        activation={},
    )


def _gate(generator: np.random.Generator, cells: int) -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(generator.normal(size=(cells, cells)), (0, 0), cells / 10)
    return (1 / (1 + np.exp(-5 * noise))).astype(np.float32)


def _history(generator: np.random.Generator, points: int) -> dict[str, NDArray[np.float64]]:
    fall = np.exp(-np.linspace(0, 5, points))
    columns = {name: fall + 0.03 * generator.random(points) for name in HISTORY_NAMES}
    return {"global_step": np.linspace(1, 1200, points).round(), **columns}


def _discs(generator: np.random.Generator, size: int) -> NDArray[np.int32]:
    labels = np.zeros((size, size), np.int32)
    for label in range(1, 1 + size**2 // 600):
        x, y = generator.integers(0, size, 2).tolist()
        cv2.circle(labels, (x, y), 6, label, thickness=-1)
    return labels
