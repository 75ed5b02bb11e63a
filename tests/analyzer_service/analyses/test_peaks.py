import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label
from skimage.morphology import h_maxima

from analyzer_service.analyses.attention import attention_metrics, persistences
from analyzer_service.analyses.density import excess
from analyzer_service.analyses.peaks import relief
from tests.analyzer_service.analyses.maps import blob, noise, reference_relief, smooth


def gudhi_persistences(field):
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=-field)
    complex_.compute_persistence()
    births, deaths = complex_.persistence_intervals_in_dimension(0).T
    lives = np.where(np.isinf(deaths), np.ptp(field), deaths - births)
    return np.sort(lives[lives > 0])[::-1]


def count_by_gudhi(gate):
    return (gudhi_persistences(reference_relief(gate)) >= 0.2 - 1e-9).sum()


def peaks(gate):
    return attention_metrics(gate)["num_attention_peaks"]


@given(
    seed=st.integers(0, 10**6),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    levels=st.sampled_from([2, 3, 5, 10**9]),
)
@settings(deadline=None, max_examples=150)
def test_persistences_and_their_count_equal_gudhis_with_and_without_ties(
    seed, height, width, levels
):
    gate = np.floor(noise(height, width, seed=seed) * levels)
    if np.ptp(gate) == 0 or np.ptp(reference_relief(gate)) == 0:
        return
    lives = persistences(gate)
    np.testing.assert_allclose(lives[lives > 0], gudhi_persistences(gate))
    assert peaks(gate) == count_by_gudhi(gate)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("make", [noise, smooth])
def test_peaks_equal_the_h_maxima_of_maps_without_ties(make, seed):
    gate = make(seed=seed)
    markers = label(h_maxima(reference_relief(gate), 0.2), connectivity=2)
    assert peaks(gate) == markers.max()


@pytest.mark.parametrize("seed", range(10))
def test_coverage_is_the_share_at_half_maximum(seed):
    gate = smooth(20, 28, seed=seed)
    expected = (reference_relief(gate) >= 0.5).mean()
    assert attention_metrics(gate)["peak_coverage"] == expected


def test_relief_spans_zero_to_one():
    field = relief(excess(noise(33, 9)[None]))[0]
    assert field.shape == (16, 16)
    assert (field.min(), field.max()) == (0, 1)


@pytest.mark.parametrize(
    ("gate", "count"),
    [
        (blob(sigma=0.15), 1),
        (blob(sigma=0.1, col=-0.25) + blob(sigma=0.1, col=0.25), 2),
        (sum(blob(sigma=0.08, row=r, col=c) for r in (-0.25, 0.25) for c in (-0.25, 0.25)), 4),
        (blob(sigma=0.1, col=-0.25) + 0.1 * blob(sigma=0.1, col=0.25), 1),
    ],
)
def test_blobs_are_counted_and_faint_ones_are_not(gate, count):
    assert peaks(gate) == count


def test_diagonal_neighbors_touch():
    gate = np.zeros((16, 16))
    gate[4, 4] = gate[5, 5] = 1.0
    assert peaks(gate) == 1
    gate[4, 4], gate[3, 3] = 0.0, 1.0
    assert peaks(gate) == 2


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.3, 1e3])
def test_a_saddle_exactly_a_fifth_below_the_peak_separates_two(floor):
    gate = np.zeros((16, 16))
    gate[8, 4:9] = [1.0, 0.8, 0.8, 0.8, 1.0]
    assert peaks(gate + floor) == 2
    gate[8, 5:8] = 0.801
    assert peaks(gate + floor) == 1


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.3])
def test_exactly_half_the_maximum_is_covered(floor):
    gate = np.zeros((16, 16))
    gate[8, 4:9] = [1.0, 0.5, 0.49, 0.5, 0.2]
    assert attention_metrics(gate + floor)["peak_coverage"] == 3 / 256


def test_a_pattern_finer_than_the_grid_has_no_peaks():
    checkerboard = np.indices((32, 32)).sum(axis=0) % 2
    metrics = attention_metrics(checkerboard)
    assert (metrics["num_attention_peaks"], metrics["peak_coverage"]) == (0, 0)
    assert metrics["attention_entropy"] == pytest.approx(np.log(64))
