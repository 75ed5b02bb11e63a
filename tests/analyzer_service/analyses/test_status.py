import json

import numpy as np
import pytest

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention import map_status
from shared.errors import AnalysisError


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(8, 8), (1, 8), (1, 1)])
def test_one_bad_cell_makes_a_map_nonfinite_before_anything_else(value, shape):
    gate = np.zeros(shape)
    gate[0, 0] = value
    assert map_status(gate).status == "nonfinite"


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (0, 0), (0, 5), (3, 0)])
def test_a_side_under_two_cells_is_tiny(shape):
    status = map_status(np.zeros(shape))
    assert (status.status, status.low_contrast) == ("tiny", False)


def test_two_by_two_can_be_measured():
    assert map_status([[0.1, 0.2], [0.3, 0.4]]).status == "ok"


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-320, 1e-30, 1e30, 1.7e308, -1.7e308])
def test_a_constant_is_flat_at_any_magnitude(value):
    assert map_status(np.full((3, 5), value)).status == "flat"


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-200, 1e200])
def test_the_limit_of_flat_is_relative_to_the_largest_magnitude(scale):
    gate = np.ones((4, 4))
    gate[1, 2] = 1.0 - 0.99e-6
    assert map_status(gate * scale).status == "flat"
    gate[1, 2] = 1.0 - 1.01e-6
    assert map_status(gate * scale).status == "ok"


def test_opposite_extremes_are_not_flat():
    gate = np.full((4, 4), -1.7e308)
    gate[0, 0] = 1.7e308
    assert map_status(gate).status == "ok"


def test_float32_rounding_of_a_constant_is_flat():
    gate = np.full((8, 8), 0.5, dtype=np.float32)
    gate[::2] = np.nextafter(np.float32(0.5), np.float32(1))
    assert map_status(gate).status == "flat"


def test_low_contrast_is_a_standard_deviation_under_a_hundredth():
    gate = np.tile([0.5, 0.5 + 2 * 0.0099], (4, 4))
    assert map_status(gate) == map_status(gate.copy())
    assert map_status(gate).low_contrast
    assert not map_status(np.tile([0.5, 0.5 + 2 * 0.0101], (4, 4))).low_contrast


@pytest.mark.parametrize("gate", [0.5, [0.5, 0.6], np.zeros((2, 3, 4)), np.zeros((1, 2, 3, 4))])
def test_an_array_that_is_no_map_is_refused(gate):
    with pytest.raises(ArrayError, match=r"2-D map .* got shape"):
        map_status(gate)


@pytest.mark.parametrize("gate", [[["a", "b"], ["c", "d"]], np.ones((2, 2)) * 1j, [[None, "1"]]])
def test_an_array_without_real_numbers_is_refused(gate):
    with pytest.raises(ArrayError, match="real numbers"):
        map_status(gate)


def test_a_null_from_json_is_a_cell_that_is_not_finite():
    assert map_status(json.loads("[[null, 0.5], [0.5, 1]]")).status == "nonfinite"


def test_whole_numbers_past_64_bits_are_numbers():
    assert map_status([[2**70, 0], [1, 2]]).status == "ok"
    with pytest.raises(ArrayError, match="too large"):
        map_status([[10**400, 0], [1, 2]])


def test_a_ragged_list_is_refused():
    with pytest.raises(ArrayError, match="2-D map"):
        map_status([[1.0, 2.0], [3.0]])


def test_the_refusal_is_an_analysis_error_and_a_value_error():
    assert issubclass(ArrayError, AnalysisError)
    assert issubclass(ArrayError, ValueError)
