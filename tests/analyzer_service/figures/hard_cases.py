"""Dashboards that are hard to draw, by name."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from analyzer_service.figures.data import DashboardData, TileQuality
from shared.messages import Sample
from tests.analyzer_service.figures.cases import (
    frame,
    gate,
    history,
    normal,
    nuclei,
    pathology,
    row,
    run,
    val_history,
)

_IMAGE_METRICS = (
    "ssim",
    "psnr",
    "attention_entropy",
    "attention_concentration_10",
    "attention_sparsity",
    "attention_center_distance",
    "num_attention_peaks",
    "attention_contrast",
)
_KEYS = ("phase", "epoch", "batch_idx", "global_step", "phase_step", "samples")


def dropped() -> DashboardData:
    undefined = dict.fromkeys(_IMAGE_METRICS, math.nan)
    return normal(frame=None, tile=None, row=row(samples=0, **undefined))


def first_batch() -> DashboardData:
    one = {name: column[:1] for name, column in history().items()}
    values = row(epoch=0, batch_idx=0, global_step=1, phase_step=1, loss=0.1341, ssim=0.081)
    return normal(row=values, history={"train": one})


def constant_gate() -> DashboardData:
    gates = {
        "bam_384": np.full((32, 32), 0.5, np.float32),
        "bam_16": gate((16, 16), strength=0.008),
        "a_third_layer_with_a_long_name": gate((8, 8)),
        "fourth": np.full((8, 8), math.nan, np.float32),
    }
    counts = {"attention_bam_384_flat": 3, "attention_bam_384_low_contrast": 4}
    return normal(frame=frame(gates=gates), row=row(attention_entropy=math.log(64), **counts))


def all_nan() -> DashboardData:
    values = {key: value if key in _KEYS else math.nan for key, value in row().items()}
    columns = {key: np.full_like(column, math.nan) for key, column in history().items()}
    columns["global_step"] = history()["global_step"]
    return normal(
        row=values,
        history={"train": columns},
        tile=TileQuality(math.nan, math.nan, math.nan),
        frame=frame(gates={"bam_384": np.full((32, 32), math.nan, np.float32)}),
    )


def nothing_known() -> DashboardData:
    blank = run(
        layers=(), primary_layer=None, mpp=None, total_steps=None, max_epochs=-1, stain="unknown"
    )
    return normal(
        run=blank,
        row={},
        history={},
        frame=frame(gates={}, sample=Sample(id="only-an-id")),
        tile=None,
    )


def validation() -> DashboardData:
    values = row(phase="val", phase_step=16, training_time_ms=math.nan, batch_idx=0)
    return normal(phase="val", row=values, frame=frame(phase="val"))


def huge() -> DashboardData:
    columns = history(last=10**9)
    spikes = np.where(np.arange(columns["loss"].size) % 7 == 0, 1e9, columns["loss"])
    sample = Sample(
        id="x" * 1000,
        source="/very/long/組織/path_$x^2$/" * 25,
        slide="slide" * 200,
        row=123_456_789,
        col=-99_999_999,
        mpp=0.2271,
    )
    return normal(
        run=run(
            run_name="W" * 120, project="p$roj_{ect}/" * 80, total_steps=10**9, max_epochs=10**6
        ),
        frame=frame(96, 512, sample=sample),
        row=row(**_huge_values()),
        history={
            "train": columns | {"loss": spikes, "ssim": columns["ssim"] - 1},
            "val": val_history(),
        },
        tile=TileQuality(mse=1e-9, psnr=math.inf, ssim=-0.123456),
    )


def _huge_values() -> dict[str, Any]:
    return {
        "loss": 1e9,
        "mse": 1e9,
        "ssim": -0.3,
        "psnr": -90.0,
        "training_time_ms": 1e9,
        "inference_time_ms": 1e7,
        "data_time_ms": 1e12,
        "memory_mb": 1e8,
        "batch_size": 10**9,
        "samples": 10**6,
        "global_step": 10**9,
        "epoch": 999_999,
        "batch_idx": 10**7,
        "num_attention_peaks": 123_456.0,
        "attention_bam_384_flat": 300_000,
        "attention_bam_384_low_contrast": 600_000,
        "attention_bam_384_undefined": 100_000,
    }


def diverged() -> DashboardData:
    columns = history()
    loss = np.where(np.arange(columns["loss"].size) > 600, math.inf, columns["loss"])
    return normal(history={"train": columns | {"loss": loss}}, row=row(loss=math.inf))


def tiny_tile() -> DashboardData:
    gates = {"bam_384": gate((8, 10)), "bam_16": np.ones((1, 1), np.float32)}
    return normal(frame=frame(32, 40, gates=gates))


def big_tile() -> DashboardData:
    return normal(frame=frame(512, 300, gates={"bam_384": gate((600, 600)), "b": gate((7, 31))}))


def older_run() -> DashboardData:
    values = {key: value for key, value in row().items() if key not in pathology()}
    return normal(row=values)


def outlined() -> DashboardData:
    return normal(nuclei=nuclei())


def blank_tile() -> DashboardData:
    undefined = dict.fromkeys(pathology(), math.nan)
    found = {"tissue_fraction": 0.0, "nuclear_count": 0.0, "nuclear_area_fraction": 0.0}
    blank = frame()
    white = np.full_like(blank.input, 255)
    return normal(
        frame=blank.model_copy(update={"input": white, "reconstruction": white}),
        row=row(**undefined | found),
        nuclei=np.zeros((128, 128), np.int32),
    )


def biased() -> DashboardData:
    long = "decoder_blocks_3_attention_gate_with_a_very_long_name"
    gates = {f"{long}_{index}": gate((16, 16)) for index in range(4)}
    return normal(
        run=run(primary_layer=f"{long}_0", stain="he", mpp=None),
        frame=frame(300, 512, gates=gates, sample=Sample(id="tile-7")),
        row=row(**_biased_values()),
        nuclei=nuclei(300, 512, count=400),
    )


def _biased_values() -> dict[str, float]:
    return {
        "attention_position_bias": 0.973,
        "eosin_intensity": 1e9,
        "dab_intensity": math.nan,
        "nuclear_count": 1e9,
        "nuclear_density": 123_456_789.0,
        "nuclear_attention_enrichment": 1e12,
        "tissue_attention_correlation": -0.9999,
        "tissue_attention_correlation/glcm_homogeneity": -0.99999,
    }


def alarmed() -> DashboardData:
    """More alerts than fit in one line."""
    return normal(alerts=tuple(f"attention too diffuse (bam_{i}) since step {i}" for i in range(9)))


CASES: dict[str, Callable[[], DashboardData]] = {
    "normal": normal,
    "dropped": dropped,
    "first_batch": first_batch,
    "constant_gate": constant_gate,
    "all_nan": all_nan,
    "nothing_known": nothing_known,
    "validation": validation,
    "huge": huge,
    "diverged": diverged,
    "tiny_tile": tiny_tile,
    "big_tile": big_tile,
    "older_run": older_run,
    "outlined": outlined,
    "blank_tile": blank_tile,
    "biased": biased,
    "alarmed": alarmed,
}
