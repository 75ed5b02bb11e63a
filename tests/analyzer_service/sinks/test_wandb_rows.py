"""Rows to W&B's keys: the guide's names, explicit step keys, nothing undefined."""

import math
from typing import Any

import pytest

from analyzer_service.commit.views import OwnAnalyzer
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.wandb_rows import (
    is_detailed,
    log_epoch,
    log_image,
    log_row,
    run_config,
    run_key,
)
from tests.builders import LAYERS, make_run_started

GATE = "attention_bam_384_attention_entropy"


def make_row(**overrides: Any) -> dict[str, Any]:
    return {
        "phase": "train",
        "epoch": 0,
        "batch_idx": 19,
        "global_step": 20,
        "phase_step": 20,
        "rank": 0,
        "timestamp": 1.7e9,
        "batch_size": 8,
        "samples": 2,
        "loss": 0.1,
        "ssim": 0.8,
        "mse": 0.1,
        "training_time_ms": 20.0,
        "inference_time_ms": 6.0,
        "memory_mb": 512.0,
        "lr": 1e-3,
        GATE: 3.0,
        "attention_bam_384_num_attention_peaks": 2.0,
        "attention_entropy": 3.0,
        "num_attention_peaks": 2.0,
        "activation_encoder_kan_attention_entropy": 3.5,
        "spatial_consistency": 0.3,
        **overrides,
    }


def test_every_batch_logs_the_keys_of_the_guide() -> None:
    logged = log_row(make_row(phase_step=7, global_step=7), LAYERS)

    assert logged == {
        "train/global_step": 7,
        "train/phase_step": 7,
        "train/epoch": 0,
        "train/loss": 0.1,
        "train/ssim": 0.8,
        "train/mse": 0.1,
        "train/training_time_ms": 20.0,
        "train/inference_time_ms": 6.0,
        "train/memory_mb": 512.0,
        "train/lr": 1e-3,
    }


def test_every_20th_batch_logs_each_layer_once() -> None:
    logged = log_row(make_row(), LAYERS)

    assert logged[f"train/{GATE}"] == 3.0
    assert logged["train/attention_bam_384_num_attention_peaks"] == 2.0
    assert logged["train/activation_encoder_kan_attention_entropy"] == 3.5
    assert logged["train/spatial_consistency"] == 0.3
    assert not {"train/attention_entropy", "train/num_attention_peaks"} & set(logged)


def test_temporal_consistency_is_logged_by_its_layer() -> None:
    name = "attention_bam_384_temporal_consistency"
    numbers = {name: 0.9, "temporal_consistency": 0.9}
    row = make_row(phase="val", phase_step=41, batch_idx=4, **numbers)

    assert log_row(row, LAYERS)[f"val/{name}"] == 0.9
    assert "val/temporal_consistency" not in log_row(row, LAYERS)
    assert f"val/{name}" not in log_row({**row, "batch_idx": 5}, LAYERS)


def test_pathology_is_logged_on_detailed_rows_by_layer_and_by_the_guides_names() -> None:
    numbers = {
        "nuclear_count": 30.0,
        "nuclear_attention_overlap": 0.3,
        "nuclear_attention_overlap_bam_384": 0.3,
        "nuclear_attention_auc": 0.6,
        "nuclear_attention_auc_bam_384": 0.6,
        "tissue_attention_correlation/eosin_bam_384": 0.2,
        "tissue_attention_correlation/eosin": 0.2,
    }
    logged = {key for key in log_row(make_row(**numbers), LAYERS) if key[6:] in numbers}

    assert logged == {
        "train/nuclear_count",
        "train/nuclear_attention_overlap",
        "train/nuclear_attention_overlap_bam_384",
        "train/nuclear_attention_auc_bam_384",
        "train/tissue_attention_correlation/eosin_bam_384",
    }
    other = log_row(make_row(phase_step=7, global_step=7, **numbers), LAYERS)
    assert not {f"train/{name}" for name in numbers} & set(other)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_undefined_is_left_out(value: float | None) -> None:
    logged = log_row(make_row(loss=value, **{GATE: value}), LAYERS)

    assert "train/loss" not in logged
    assert f"train/{GATE}" not in logged


@pytest.mark.parametrize(
    ("phase", "phase_step", "batch_idx", "expected"),
    [
        ("train", 1, 0, False),
        ("train", 20, 19, True),
        ("train", 40, 0, True),
        ("val", 101, 0, True),
        ("val", 105, 4, True),
        ("val", 106, 5, False),
        ("val", 120, 9, True),
    ],
)
def test_which_rows_are_detailed(
    phase: str, phase_step: int, batch_idx: int, expected: bool
) -> None:
    row = make_row(phase=phase, phase_step=phase_step, batch_idx=batch_idx)

    assert is_detailed(row) is expected


def test_validation_goes_by_its_own_step() -> None:
    logged = log_row(make_row(phase="val", phase_step=3, batch_idx=2), LAYERS)

    assert (logged["val/phase_step"], logged["val/global_step"]) == (3, 20)
    assert logged["val/loss"] == 0.1
    assert not any(key.startswith("train/") for key in logged)


def test_other_ranks_have_keys_of_their_own() -> None:
    logged = log_row(make_row(rank=1), LAYERS)

    assert logged["train/rank_1/loss"] == 0.1
    assert "train/loss" not in logged
    assert logged["train/global_step"] == 20


def test_a_dashboard_has_the_key_of_the_guide_and_the_step_of_its_row() -> None:
    key, values = log_image("train", 100, make_row(global_step=100, phase_step=100))

    assert key == "train/batch_visualization_100"
    assert values == {"train/global_step": 100, "train/phase_step": 100, "train/epoch": 0}


def test_an_epoch_logs_the_means_of_its_batches() -> None:
    tables = {"train": Table(), "val": Table()}
    for loss in (1.0, 2.0):
        tables["train"].add({"loss": loss, "ssim": None})

    assert log_epoch(3, 400, tables) == {
        "epoch/epoch": 3,
        "epoch/global_step": 400,
        "epoch/train_batches": 2,
        "epoch/train_loss": 1.5,
    }


def test_run_key_depends_on_the_run_only() -> None:
    assert run_key("run-0001") == run_key("run-0001") != run_key("run-0002")
    assert run_key("any/thing #?%:").isalnum()


def test_config_is_the_trainer_s_with_the_run_s_facts() -> None:
    started = make_run_started(config={"lr": 1e-3, "clip": math.inf})

    config = run_config(started)

    assert (config["lr"], config["clip"]) == (1e-3, None)
    assert config["sidelight"]["tile_size"] == 32
    assert "config" not in config["sidelight"]


def test_own_numbers_are_logged_with_every_row_and_their_source_once() -> None:
    row = {"phase": "train", "global_step": 7, "phase_step": 7, "epoch": 0, "batch_idx": 6}
    row |= {"rank": 0, "own_border_bam_384": 1.25, "own_undefined": math.nan}
    logged = log_row(row, make_run_started().layers)
    assert logged["train/own_border_bam_384"] == 1.25
    assert "train/own_undefined" not in logged
    config = run_config(make_run_started(), [OwnAnalyzer("mine:Mine", "ab" * 32)])
    assert config["sidelight"]["own_analyzers"] == [{"name": "mine:Mine", "sha256": "ab" * 32}]
    assert "own_analyzers" not in run_config(make_run_started())["sidelight"]
