import math

import numpy as np
import pytest

from analyzer_service.analyses.attention import moran_i
from analyzer_service.analyses.autocorrelation import stack_moran_i
from tests.analyzer_service.analyses.maps import noise, smooth


def moran_by_weights(gate):
    """The textbook formula with a full matrix of queen weights."""
    cells = np.argwhere(np.ones_like(gate))
    distance = np.abs(cells[:, None] - cells).max(axis=-1)
    weights = (distance == 1).astype(float)
    z = gate.ravel() - gate.mean()
    return len(z) / weights.sum() * (z @ weights @ z) / (z @ z)


@pytest.mark.parametrize("shape", [(2, 2), (2, 7), (3, 5), (9, 33), (16, 16)])
@pytest.mark.parametrize("make", [noise, smooth])
def test_moran_equals_the_formula_with_a_weight_matrix(shape, make):
    gate = make(*shape, seed=8)
    assert moran_i(gate) == pytest.approx(moran_by_weights(gate), abs=1e-12)


def test_smooth_is_high_and_noise_is_near_its_expectation():
    assert moran_i(smooth(seed=3)) > 0.8
    values = stack_moran_i(np.stack([noise(8, 8, seed=i) for i in range(400)]))
    assert values.mean() == pytest.approx(-1 / 63, abs=0.01)


def test_stripes_of_one_cell_are_the_lowest_and_a_checkerboard_is_near_zero():
    # By hand, of 930 pairs of neighbors: in stripes the 240 along them agree and 690 do not; in
    # a checkerboard the 450 diagonal ones agree and 480 do not.
    row, column = np.indices((16, 16))
    assert moran_i(column % 2) == pytest.approx((240 - 690) / 930)
    assert moran_i((row + column) % 2) == pytest.approx((450 - 480) / 930)


@pytest.mark.parametrize(
    "gate", [np.full((5, 5), 0.3), noise(1, 9), np.full((4, 4), np.nan), np.empty((0, 3))]
)
def test_moran_of_a_map_without_a_pattern_is_undefined(gate):
    assert math.isnan(moran_i(gate))


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_moran_does_not_depend_on_the_magnitude(scale):
    gate = noise(7, 9)
    assert moran_i(gate * scale) == pytest.approx(moran_i(gate), abs=1e-12)
