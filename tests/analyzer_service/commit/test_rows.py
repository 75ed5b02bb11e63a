"""Rows by hand, for the rules that docs/architecture.md states."""

import math

from analyzer_service.commit.rows import CORE, build_row, short_names
from shared.messages import Layer
from tests.builders import make_batch, make_run_started


def test_a_dropped_frame_leaves_nan_and_no_metrics() -> None:
    row = build_row(make_batch(3, mse=None), None, make_run_started())
    assert tuple(row)[: len(CORE)] == CORE
    assert row["samples"] == 0
    assert all(math.isnan(row[name]) for name in ("ssim", "psnr", "mse"))
    assert not any(name.startswith("attention_") for name in row)


def test_a_users_name_is_the_same_with_and_without_a_frame() -> None:
    scalars = {"attention_entropy": 1.0, "user_note": 2.0, "phase": 3.0, "accuracy": 4.0}
    batch = make_batch(1, scalars=scalars)
    part = {"attention_bam_384_attention_entropy": 9.0, "samples": 2.0}
    with_frame = build_row(batch, part, make_run_started())
    without = build_row(batch, None, make_run_started())
    users = {
        "user_attention_entropy": 1.0,
        "user_user_note": 2.0,
        "user_phase": 3.0,
        "accuracy": 4.0,
    }
    assert {name: with_frame[name] for name in users} == users
    assert {name: without[name] for name in users} == users
    assert with_frame["attention_entropy"] == 9.0


def test_short_names_are_of_the_primary_layer_only() -> None:
    layers = tuple(Layer(name=name, kind="attention") for name in ("bam_16", "bam", "bam_16_b"))
    part = {
        "attention_bam_16_attention_entropy": 1.0,
        "attention_bam_16_num_attention_peaks": 2.0,
        "attention_bam_16_flat": 3.0,
        "attention_bam_attention_entropy": 4.0,
        "attention_bam_16_b_peak_coverage": 5.0,
        "activation_bam_16_attention_gini": 6.0,
    }
    named = short_names(part, make_run_started(layers=layers, primary_layer="bam_16"))
    assert named == {"attention_entropy": 1.0, "num_attention_peaks": 2.0}
    wide = short_names(part, make_run_started(layers=layers, primary_layer="bam"))
    assert wide == {"attention_entropy": 4.0}


def test_without_a_primary_layer_the_first_gate_stands_in() -> None:
    part = {"attention_bam_384_peak_coverage": 0.5}
    assert short_names(part, make_run_started(primary_layer=None)) == {"peak_coverage": 0.5}
    assert short_names(part, make_run_started(primary_layer=None, layers=())) == {}


def test_pathology_of_the_primary_layer_stands_there_without_it() -> None:
    layers = tuple(Layer(name=name, kind="attention") for name in ("bam", "x_bam"))
    part = {
        "nuclear_attention_auc_bam": 0.7,
        "nuclear_attention_auc_x_bam": 0.6,
        "tissue_attention_correlation_bam": 0.5,
        "tissue_attention_correlation/eosin_x_bam": 0.4,
        "tissue_attention_correlation/eosin_bam": 0.3,
        "nuclear_attention_undefined_bam": 1.0,
        "nuclear_count": 12.0,
    }
    assert short_names(part, make_run_started(layers=layers, primary_layer="bam")) == {
        "nuclear_attention_auc": 0.7,
        "tissue_attention_correlation": 0.5,
        "tissue_attention_correlation/eosin": 0.3,
    }


def test_a_users_scalar_does_not_take_the_name_of_a_tissue_number() -> None:
    batch = make_batch(1, scalars={"nuclear_count": 1.0, "dab_intensity": 2.0})
    row = build_row(batch, {"nuclear_count": 9.0}, make_run_started())
    assert row["nuclear_count"] == 9.0
    assert row["user_nuclear_count"] == 1.0
    assert row["user_dab_intensity"] == 2.0
