import math

import numpy as np
import pytest

from analyzer_service.analyses import attention, quality
from analyzer_service.analyses.frame import analyze_frame
from analyzer_service.analyses.pathology_names import COUNTS as COUNTED
from analyzer_service.analyses.pathology_names import TISSUE_NUMBERS
from shared.messages import BatchFrame, Sample
from tests.analyzer_service.analyses.maps import noise, smooth


def make_frame(count=3, *, size=32, attention=None, activation=None):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    return BatchFrame(
        phase="train",
        epoch=0,
        batch_idx=0,
        global_step=1,
        phase_step=1,
        stream="train",
        fseq=1,
        captured_at_ns=0,
        samples=tuple(Sample(id=str(i)) for i in range(count)),
        input=images,
        reconstruction=np.clip(images.astype(int) + 9, 0, 255).astype(np.uint8),
        attention=attention or {},
        activation=activation or {},
    )


def stack(*maps):
    return np.stack(maps).astype(np.float32)


DEEP = stack(smooth(16, 16, seed=1), np.full((16, 16), 0.5), noise(16, 16))
WIDE = stack(noise(12, 20, seed=2), noise(12, 20, seed=3), np.full((12, 20), np.nan))
KAN = stack(*(5 * noise(9, 9, seed=i) for i in range(3)))
FRAME = make_frame(attention={"bam_384": DEEP, "bam_16": WIDE}, activation={"encoder_kan": KAN})
COUNTS = {"undefined", "flat", "low_contrast", "attention_position_bias"}


@pytest.fixture(scope="module")
def result():
    return analyze_frame(FRAME)


@pytest.mark.parametrize(
    ("prefix", "maps"),
    [("attention_bam_384", DEEP), ("attention_bam_16", WIDE), ("activation_encoder_kan", KAN)],
)
def test_each_tile_has_the_metrics_of_its_map(result, prefix, maps):
    for gate, values in zip(maps, result.samples, strict=True):
        expected = attention.attention_metrics(gate) | {
            "attention_moran_i": attention.moran_i(gate)
        }
        for name, value in expected.items():
            assert values[f"{prefix}_{name}"] == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_layers_of_one_grid_keep_their_own_numbers():
    gates = {
        "first": DEEP,
        "second": stack(noise(16, 16, seed=4), noise(16, 16, seed=5), np.full((16, 16), np.nan)),
        "third": stack(*(np.full((16, 16), 0.2),) * 2, smooth(16, 16, seed=6)),
    }
    activation = {"first": stack(*(3 * smooth(16, 16, seed=i) for i in (7, 8, 9)))}
    together = analyze_frame(make_frame(attention=gates, activation=activation))
    alone = {
        ("attention", layer): make_frame(attention={layer: maps}) for layer, maps in gates.items()
    }
    alone["activation", "first"] = make_frame(activation=activation)
    for (kind, layer), frame in alone.items():
        expected = analyze_frame(frame)
        names = [name for name in expected.row if name.startswith(f"{kind}_{layer}_")]
        assert len(names) > 15
        for found, values in zip(
            (together.row, *together.samples), (expected.row, *expected.samples), strict=True
        ):
            shown = {name: found[name] for name in names if name in values}
            known = {name: values[name] for name in names if name in values}
            assert shown == pytest.approx(known, abs=1e-12, nan_ok=True)


def test_each_tile_has_its_reconstruction_quality(result):
    for x, y, values in zip(FRAME.input, FRAME.reconstruction, result.samples, strict=True):
        for name in ("mse", "psnr", "ssim"):
            assert values[name] == getattr(quality, name)(x, y)


def test_each_tile_has_the_agreement_of_its_layers(result):
    values = [tile["spatial_consistency"] for tile in result.samples]
    assert values[0] == pytest.approx(attention.spatial_consistency([DEEP[0], WIDE[0]]), abs=1e-12)
    assert math.isnan(values[1])
    assert math.isnan(values[2])


def test_the_row_is_the_mean_of_the_tiles_that_have_a_value(result):
    for name in result.samples[0]:
        if name.startswith(("tissue_attention_p", "tissue_attention_ess")):
            assert name not in result.row  # they speak of one tile
            continue
        values = np.array([tile[name] for tile in result.samples])
        known = values[~np.isnan(values)]
        expected = np.mean(known) if len(known) else math.nan
        assert result.row[name] == pytest.approx(expected, rel=1e-12, nan_ok=True), name


def test_the_row_counts_what_has_no_value_no_pattern_or_little_contrast(result):
    row = result.row
    assert [row[f"attention_bam_384_{name}"] for name in ("undefined", "flat", "low_contrast")] == [
        0,
        1,
        1,
    ]
    assert [row[f"attention_bam_16_{name}"] for name in ("undefined", "flat", "low_contrast")] == [
        1,
        0,
        0,
    ]
    assert row["samples"] == 3
    assert "activation_encoder_kan_low_contrast" not in row


def test_the_row_has_the_position_bias_of_each_layer(result):
    for prefix, maps in (("attention_bam_384", DEEP), ("activation_encoder_kan", KAN)):
        expected = attention.position_bias(maps)
        assert result.row[f"{prefix}_attention_position_bias"] == pytest.approx(expected)
        assert not any(f"{prefix}_attention_position_bias" in tile for tile in result.samples)


def test_psnr_of_a_perfect_tile_is_left_out():
    frame = make_frame(2)
    images = frame.input.copy()
    images[1] = frame.reconstruction[1]
    result = analyze_frame(frame.model_copy(update={"input": images}))
    assert math.isnan(result.samples[1]["psnr"])
    assert result.row["psnr"] == result.samples[0]["psnr"]
    assert result.row["mse"] == pytest.approx(result.samples[0]["mse"] / 2)


def test_a_metric_that_no_tile_has_is_nan_in_the_row():
    frame = make_frame(2, attention={"a": np.full((2, 4, 4), np.nan, np.float32)})
    row = analyze_frame(frame).row
    assert math.isnan(row["attention_a_attention_entropy"])
    assert row["attention_a_undefined"] == 2
    assert math.isnan(row["attention_a_attention_position_bias"])
    assert math.isnan(row["spatial_consistency"])


@pytest.mark.parametrize("maps_shape", [(8, 8), (1, 8), (0, 0)])
@pytest.mark.parametrize(("count", "size"), [(0, 32), (1, 32), (2, 8), (2, 0)])
def test_small_and_empty_frames_have_the_same_names(count, size, maps_shape):
    maps = {"a": np.ones((count, *maps_shape), np.float32)}
    result = analyze_frame(make_frame(count, size=size, attention=maps, activation=maps))
    usual = analyze_frame(make_frame(2, attention={"a": DEEP[:2]}, activation={"a": DEEP[:2]}))
    assert result.row.keys() == usual.row.keys()
    assert len(result.samples) == count
    assert result.row["samples"] == count


def test_a_frame_without_maps_still_has_its_images_measured():
    result = analyze_frame(make_frame(2))
    tissue = {*TISSUE_NUMBERS, *COUNTED} - {"dab_intensity"}
    of_images = {"mse", "psnr", "ssim", "samples", "spatial_consistency"}
    assert set(result.row) == of_images | tissue
    assert 0 < result.row["ssim"] < 1
    assert math.isnan(result.row["spatial_consistency"])


def test_the_same_frame_gives_the_same_numbers_and_is_left_alone():
    frame = make_frame(attention={"a": DEEP})
    before = frame.model_copy(deep=True)
    for array in (frame.input, frame.reconstruction, frame.attention["a"]):
        array.flags.writeable = False
    one, other = analyze_frame(frame), analyze_frame(frame)
    np.testing.assert_equal(one.row, other.row)
    np.testing.assert_equal(one.samples, other.samples)
    np.testing.assert_array_equal(frame.input, before.input)
    np.testing.assert_array_equal(frame.attention["a"], before.attention["a"])


def test_validation_gates_leave_room_for_what_one_frame_does_not_know():
    found = analyze_frame(FRAME.model_copy(update={"phase": "val"}))
    name = "attention_bam_384_temporal_consistency"
    assert [name for name in analyze_frame(FRAME).row if "temporal" in name] == []
    assert math.isnan(found.row[name])
    assert [math.isnan(tile[name]) for tile in found.samples] == [True] * 3
    assert "activation_encoder_kan_temporal_consistency" not in found.row
