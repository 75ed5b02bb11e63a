"""Dashboards to draw in tests: real tissue, a blurred reconstruction, synthetic gates."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from analyzer_service.figures.data import DashboardData, TileQuality
from shared.messages import BatchFrame, RunStarted, Sample
from tests.builders import make_frame, make_run_started

NAMES = (
    "loss",
    "ssim",
    "attention_entropy",
    "attention_concentration_10",
    "attention_sparsity",
    "attention_center_distance",
    "num_attention_peaks",
    "attention_contrast",
)


@lru_cache(maxsize=1)
def tissue() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.immunohistochemistry(), dtype=np.uint8)


def run(**overrides: Any) -> RunStarted:
    fields: dict[str, Any] = {
        "run_name": "ihc-small-2025-11-23",
        "total_steps": 4000,
        "max_epochs": 10,
        "tile_size": 128,
    }
    return make_run_started(**(fields | overrides))


def gate(size: tuple[int, int], *, strength: float = 0.15, at: float = 0.35) -> NDArray[np.float32]:
    rows, cols = np.mgrid[: size[0], : size[1]]
    rows, cols = (rows + 0.5) / size[0], (cols + 0.5) / size[1]
    spot = np.exp(-((rows - at) ** 2 + (cols - 0.6) ** 2) / 0.03)
    other = 0.6 * np.exp(-((rows - 0.8) ** 2 + (cols - 0.2) ** 2) / 0.01)
    noise = np.random.default_rng(7).normal(0, 0.02, size=size)
    return (0.5 + strength * (spot + other + noise)).astype(np.float32)


def frame(
    height: int = 128,
    width: int = 128,
    *,
    gates: dict[str, NDArray[np.float32]] | None = None,
    sample: Sample | None = None,
    phase: str = "train",
) -> BatchFrame:
    tile = tissue()[128 : 128 + height, 256 : 256 + width]
    tile = np.ascontiguousarray(cv2.resize(tile, (width, height))) if tile.size == 0 else tile
    if tile.shape[:2] != (height, width):
        tile = np.asarray(cv2.resize(tissue(), (width, height)))
    blurred = np.asarray(cv2.GaussianBlur(tile, (0, 0), 1.4))
    maps = (
        {"bam_384": gate((height // 4, width // 4)), "bam_16": gate((height // 8, width // 8))}
        if gates is None
        else gates
    )
    sample = sample or Sample(
        id="tile-0012", source="immunohistochemistry.png", row=128, col=256, mpp=0.5
    )
    return make_frame(
        phase=phase,
        count=1,
        samples=(sample,) * 4,
        input=np.stack([tile] * 4),
        reconstruction=np.stack([blurred] * 4),
        attention={name: np.stack([values] * 4) for name, values in maps.items()},
        activation={},
    )


def row(**overrides: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "phase": "train",
        "epoch": 3,
        "batch_idx": 47,
        "global_step": 1200,
        "phase_step": 1200,
        "batch_size": 16,
        "samples": 4,
        "loss": 0.004127,
        "mse": 0.004093,
        "ssim": 0.8321,
        "psnr": 24.31,
        "training_time_ms": 412.3,
        "inference_time_ms": 138.7,
        "data_time_ms": 12.6,
        "memory_mb": 1843.0,
        "attention_entropy": 3.214,
        "attention_concentration_10": 0.412,
        "attention_sparsity": 0.246,
        "attention_center_distance": 0.231,
        "num_attention_peaks": 2.25,
        "attention_contrast": 0.0863,
        "attention_bam_384_attention_flat": 0,
        "attention_position_bias": 0.31,
    }
    return values | pathology() | overrides


def nuclei(height: int = 128, width: int = 128, *, count: int = 12) -> NDArray[np.int32]:
    """Discs at random places, the later ones over the earlier."""
    labels = np.zeros((height, width), np.int32)
    places = np.random.default_rng(5).random((count, 2)) * (width, height)
    for number, (x, y) in enumerate(places.astype(int).tolist(), start=1):
        cv2.circle(labels, (x, y), 5, number, thickness=-1)
    return labels


def pathology() -> dict[str, float]:
    """What a row tells of the tissue, as an IHC run of a primary layer has it."""
    return {
        "tissue_fraction": 0.8134,
        "hematoxylin_intensity": 0.2371,
        "dab_intensity": 0.4115,
        "nuclear_count": 11.25,
        "nuclear_density": 2746.6,
        "nuclear_area_fraction": 0.1824,
        "nuclear_attention_enrichment": 1.83,
        "nuclear_attention_auc": 0.676,
        "tissue_attention_correlation": 0.412,
        "tissue_attention_correlation/hematoxylin": 0.303,
        "tissue_attention_correlation/dab": -0.104,
        "tissue_attention_correlation/nuclear_density": 0.518,
        "tissue_attention_correlation/glcm_homogeneity": -0.211,
    }


def history(points: int = 1000, last: int = 1200) -> dict[str, NDArray[np.float64]]:
    noise = np.random.default_rng(3).normal(0, 1, size=(len(NAMES), points))
    steps = np.linspace(1, last, points).round() if points > 1 else np.array([1.0])
    fall = np.exp(-steps / 250)
    centers = (
        0.004 + 0.12 * fall,
        0.84 - 0.75 * fall,
        3.1 + 0.9 * fall,
        0.4 - 0.25 * fall,
        0.25 + 0 * fall,
        0.22 + 0.05 * fall,
        2.2 + 4 * fall,
        0.09 - 0.08 * fall,
    )
    spread = (0.1, 0.02, 0.1, 0.03, 0.05, 0.04, 0.6, 0.005)
    columns = {
        name: center * (1 + 0.1 * noise[i]) if i == 0 else center + spread[i] * noise[i]
        for i, (name, center) in enumerate(zip(NAMES, centers, strict=True))
    }
    return {"global_step": steps, **columns}


def val_history(epochs: int = 3, batches: int = 5) -> dict[str, NDArray[np.float64]]:
    columns = history(epochs * batches)
    columns["global_step"] = np.repeat(np.arange(1, epochs + 1) * 375.0, batches)
    for index, name in enumerate(NAMES):
        columns[name] = np.interp(
            columns["global_step"], history(400)["global_step"], history(400)[name]
        )
        columns[name] = columns[name] * (1.05 if index == 0 else 0.98)
    return columns


def normal(**overrides: Any) -> DashboardData:
    data = DashboardData(
        run=run(),
        phase="train",
        row=row(),
        history={"train": history(), "val": val_history()},
        frame=frame(),
        tile=TileQuality(mse=0.003912, psnr=24.07, ssim=0.8142),
    )
    return replace(data, **overrides)
