import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention import excess_density, regrid
from analyzer_service.analyses.density import lower_quartile, overlap_matrix
from tests.analyzer_service.analyses.maps import noise, reference_excess, reference_regrid

SIDES = st.integers(1, 40)


@given(cells_in=SIDES, cells_out=SIDES)
@settings(deadline=None, max_examples=100)
def test_each_input_cell_is_given_away_exactly_once(cells_in, cells_out):
    matrix = overlap_matrix(cells_out, cells_in)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0, rtol=1e-14)
    np.testing.assert_allclose(matrix.sum(axis=1), cells_in / cells_out, rtol=1e-13)


@given(height=SIDES, width=SIDES, size=st.sampled_from([1, 5, 8, 16]))
@settings(deadline=None, max_examples=60)
def test_regrid_equals_replicating_and_summing_blocks(height, width, size):
    field = noise(height, width, seed=height * 41 + width)
    np.testing.assert_allclose(
        regrid(field, (size, size)), reference_regrid(field, size), rtol=1e-12
    )


def test_regrid_to_fewer_cells_is_opencvs_area_average_times_the_area():
    field = noise(36, 30)
    expected = cv2.resize(field, (8, 8), interpolation=cv2.INTER_AREA) * (36 * 30 / 64)
    np.testing.assert_allclose(regrid(field, (8, 8)), expected, rtol=1e-6)


def test_regrid_takes_stacks():
    stack = np.stack([noise(5, 7, seed=i) for i in range(6)]).reshape(2, 3, 5, 7)
    result = regrid(stack, (8, 8))
    assert result.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(result[1, 2], regrid(stack[1, 2], (8, 8)))


@pytest.mark.parametrize("field", [np.zeros(4), np.zeros((0, 4))])
def test_regrid_of_nothing_is_refused(field):
    with pytest.raises(ArrayError, match="cannot regrid"):
        regrid(field, (8, 8))


def test_the_cached_operator_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        overlap_matrix(8, 32)[0, 0] = 1.0


@pytest.mark.parametrize("count", [4, 5, 6, 7, 15, 35, 297, 1024])
def test_the_lower_quartile_is_numpys_bit_for_bit(count):
    values = noise(6, count)
    np.testing.assert_array_equal(lower_quartile(values), np.quantile(values, 0.25, axis=1))


def test_density_is_what_stands_above_the_lower_quartile():
    gate = noise(9, 33)
    excess = reference_excess(gate)
    density = excess_density(gate)
    np.testing.assert_allclose(density, excess / excess.sum(), rtol=1e-12)
    assert (density == 0).mean() >= 0.25


def test_the_baseline_is_the_minimum_when_most_cells_are_at_the_maximum():
    gate = np.full((8, 8), 0.9)
    gate[0, :4] = 0.4
    expected = (gate == 0.9) / 60
    np.testing.assert_allclose(excess_density(gate), expected, rtol=1e-12)


def test_exactly_three_quarters_at_the_maximum_still_use_the_quartile():
    gate = np.ones((4, 4))
    gate[0] = 0.0  # Q25 of 4 zeros and 12 ones lies 3/4 of the way from the 4th to the 5th value
    assert np.percentile(gate, 25) == 0.75
    np.testing.assert_allclose(excess_density(gate), (gate == 1) / 12, rtol=1e-12)


@pytest.mark.parametrize(
    ("gate", "status"),
    [(np.ones((4, 4)), "flat"), (np.ones((1, 4)), "tiny"), (np.full((4, 4), np.nan), "nonfinite")],
)
def test_maps_without_a_density_are_refused_by_name(gate, status):
    with pytest.raises(ArrayError, match=status):
        excess_density(gate)
