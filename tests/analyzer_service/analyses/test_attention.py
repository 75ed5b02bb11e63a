import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention import METRIC_NAMES, attention_metrics, stack_metrics
from tests.analyzer_service.analyses.maps import blob, noise, offsets, smooth

RESOLUTION_FREE = [
    "attention_entropy",
    "attention_effective_area",
    "attention_concentration_10",
    "attention_sparsity",
    "attention_gini",
    "attention_center_distance",
    "attention_spatial_variance",
    "num_attention_peaks",
    "peak_coverage",
]
RAW_VALUES = ["attention_mean", "attention_std", "attention_min", "attention_max"]


def assert_same(one, other, *, but=(), **tolerance):
    for name in METRIC_NAMES:
        if name not in but:
            assert one[name] == pytest.approx(other[name], nan_ok=True, **tolerance), name


def test_all_metrics_are_there_in_order_as_plain_floats():
    metrics = attention_metrics(noise())
    assert tuple(metrics) == METRIC_NAMES
    assert {type(value) for value in metrics.values()} == {float}


@pytest.mark.parametrize("seed", range(5))
def test_raw_values_equal_numpy(seed):
    gate = noise(7, 11, seed=seed) - 0.2
    metrics = attention_metrics(gate)
    assert metrics["attention_mean"] == pytest.approx(np.mean(gate), rel=1e-12)
    assert metrics["attention_std"] == pytest.approx(np.std(gate), rel=1e-12)
    assert metrics["attention_min"] == np.min(gate)
    assert metrics["attention_max"] == np.max(gate)
    assert metrics["attention_contrast"] == pytest.approx(np.std(gate) / np.mean(gate), rel=1e-12)


# In all of them the quartile falls between the same two cells before and after replication,
# which holds for H W = 0 or 1 modulo 4.
SHAPES = [(4, 4), (5, 5), (7, 7), (8, 8), (9, 9), (16, 16), (4, 5), (5, 9), (4, 7), (3, 7), (9, 33)]


@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 10**6),
    make=st.sampled_from([noise, smooth]),
)
@settings(deadline=None, max_examples=80)
def test_replicating_cells_changes_nothing(shape, seed, make):
    gate = make(*shape, seed=seed)
    once, thrice = attention_metrics(gate), attention_metrics(np.kron(gate, np.ones((3, 3))))
    assert thrice["attention_radial_distance"] == pytest.approx(
        once["attention_radial_distance"], abs=max(0.02, 1 / gate.size)
    )  # of the order of a cell's share of the tile
    for name in RESOLUTION_FREE:
        assert once[name] == pytest.approx(thrice[name], abs=1e-6), name


@pytest.mark.parametrize("offset", [0.0, 0.25, -7.5])
@pytest.mark.parametrize("scale", [1.0, 3.0, 0.01])
def test_an_offset_and_a_scale_change_no_pattern_metric(scale, offset):
    gate = smooth(16, 20, seed=4)
    assert_same(
        attention_metrics(gate),
        attention_metrics(gate * scale + offset),
        but=[*RAW_VALUES, "attention_contrast"],
        abs=1e-9,
    )


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
def test_any_magnitude_can_be_measured(exponent):
    gate = smooth(16, 20, seed=4)
    once, scaled = attention_metrics(gate), attention_metrics(np.ldexp(gate, exponent))
    assert_same(once, scaled, but=RAW_VALUES, abs=0)
    for name in RAW_VALUES:
        assert scaled[name] == math.ldexp(once[name], exponent)


def test_metrics_of_extreme_opposite_values_are_finite():
    gate = np.where(np.indices((8, 8)).sum(axis=0) > 6, 1.7e308, -1.7e308)
    assert all(math.isfinite(value) for value in attention_metrics(gate).values())


# Derived here from their definitions for a uniform density; radial distance by a plain sum.
@pytest.mark.parametrize("shape", [(2, 2), (6, 6), (3, 5), (9, 33)])
@pytest.mark.parametrize("value", [0.5, 0.0, -2.0, 1e-320, 0.1, 1e30, 1.7e308])
def test_a_flat_map_has_the_limits_of_the_uniform_density(shape, value):
    height, width = shape
    radii = [
        math.hypot(i + 0.5 - height / 2, j + 0.5 - width / 2)
        for i in range(height)
        for j in range(width)
    ]
    expected = {
        "attention_entropy": math.log(64),
        "attention_effective_area": 1,
        "attention_entropy_native_bits": math.log2(height * width),
        "attention_concentration_10": 0.1,
        "attention_sparsity": 0,
        "attention_gini": 0,
        "attention_center_distance": 0,
        "attention_radial_distance": sum(radii) / len(radii) / (math.hypot(height, width) / 2),
        "attention_spatial_variance": 1,
        "num_attention_peaks": 0,
        "peak_coverage": 0,
        "attention_contrast": 0,
        "attention_mean": value,
        "attention_std": 0,
        "attention_min": value,
        "attention_max": value,
    }
    assert_same(attention_metrics(np.full(shape, value)), expected, abs=1e-12)


@pytest.mark.parametrize(
    "gate",
    [
        np.array([[0.1, np.nan], [0.2, 0.3]]),
        np.array([[0.1, np.inf], [0.2, 0.3]]),
        np.linspace(0, 1, 9)[None],
        np.linspace(0, 1, 9)[:, None],
        np.ones((1, 1)),
        np.empty((0, 0)),
        np.empty((4, 0)),
    ],
)
def test_what_cannot_be_measured_is_nan_never_zero(gate):
    metrics = attention_metrics(gate)
    assert tuple(metrics) == METRIC_NAMES
    assert all(math.isnan(value) for value in metrics.values())


def test_contrast_around_a_mean_of_zero_is_undefined():
    metrics = attention_metrics(np.array([[-0.1, 0.1], [0.3, -0.3]]))
    assert math.isnan(metrics["attention_contrast"])
    assert metrics["attention_std"] == pytest.approx(math.sqrt(0.05))


# The spec's table of what a 32 x 32 map can reach: entropy, concentration, sparsity, to the
# digits printed there.
Y, X = offsets(32)
RADIUS = np.hypot(X, Y)
ATTAINABLE = [
    ("sigma 0.05", blob(sigma=0.05), 1.51, 0.98, 0.94),
    ("sigma 0.10", blob(sigma=0.10), 2.51, 0.72, 0.81),
    ("sigma 0.15", blob(sigma=0.15), 3.18, 0.48, 0.63),
    ("sigma 0.20", blob(sigma=0.20), 3.47, 0.36, 0.50),
    ("sigma 0.30", blob(sigma=0.30), 3.63, 0.29, 0.31),
    ("half plane", (X > 0).astype(float), 3.47, 0.20, 0.50),
    ("one cell", np.pad([[1.0]], ((8, 23), (8, 23))), 0.0, 1.0, 0.98),
]


@pytest.mark.parametrize(
    ("gate", "entropy", "concentration", "sparsity"),
    [pytest.param(*row, id=name) for name, *row in ATTAINABLE],
)
def test_known_shapes_reach_the_known_values(gate, entropy, concentration, sparsity):
    metrics = attention_metrics(gate)
    assert metrics["attention_entropy"] == pytest.approx(entropy, abs=0.006)
    assert metrics["attention_concentration_10"] == pytest.approx(concentration, abs=0.006)
    assert metrics["attention_sparsity"] == pytest.approx(sparsity, abs=0.006)


def test_white_noise_is_diffuse():
    metrics = stack_metrics(np.stack([noise(seed=i) for i in range(40)]))
    assert metrics["attention_entropy"].mean() == pytest.approx(4.14, abs=0.01)
    assert metrics["attention_concentration_10"].mean() == pytest.approx(0.13, abs=0.01)
    assert metrics["attention_sparsity"].mean() == pytest.approx(0.0, abs=0.005)
    assert 10 <= metrics["num_attention_peaks"].mean() <= 16


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i2", "i8", "?"])
def test_dtype_and_memory_layout_do_not_matter(dtype):
    values = (noise(12, 18) * 40).astype(dtype)
    expected = attention_metrics(values.astype(np.float64))
    spread_out = np.zeros((24, 36), dtype)
    spread_out[::2, ::2] = values
    for same in (values, np.asfortranarray(values), spread_out[::2, ::2], values.tolist()):
        assert_same(attention_metrics(same), expected, abs=1e-12)
    assert_same(attention_metrics(values[::-1, ::-1]), expected, abs=1e-12)  # a half turn


@pytest.mark.parametrize("gate", [noise(9, 33), np.full((4, 4), 0.5), np.full((4, 4), np.nan)])
def test_the_input_is_left_alone(gate):
    gate = gate.copy()
    before = gate.copy()
    gate.flags.writeable = False
    attention_metrics(gate)
    np.testing.assert_array_equal(gate, before)


def test_a_stack_is_measured_map_by_map():
    stack = np.stack([noise(9, 33), smooth(9, 33), np.full((9, 33), 0.4), np.full((9, 33), np.nan)])
    columns = stack_metrics(stack)
    for i, gate in enumerate(stack):
        assert_same(
            {name: columns[name][i] for name in columns}, attention_metrics(gate), abs=1e-12
        )


def test_an_empty_stack_has_empty_columns():
    assert {len(column) for column in stack_metrics(np.empty((0, 8, 8))).values()} == {0}


@pytest.mark.parametrize("gate", [0.5, [1.0, 2.0], np.zeros((2, 3, 4))])
def test_an_array_that_is_no_map_is_refused(gate):
    with pytest.raises(ArrayError, match="2-D map"):
        attention_metrics(gate)


def test_a_single_map_is_no_stack():
    with pytest.raises(ArrayError, match="stack"):
        stack_metrics(noise())
