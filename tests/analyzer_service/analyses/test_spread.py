from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from sklearn.preprocessing import maxabs_scale

from analyzer_service.analyses import spread
from tests.analyzer_service.analyses.maps import blob, noise, reference_density, smooth

DENSITIES = [
    reference_density(noise(32, 32)),
    reference_density(noise(3, 5, seed=1)),
    reference_density(smooth(9, 33, seed=2)),
    reference_density(blob(16, sigma=0.1)),
]
ONE_CELL = np.zeros((8, 8))
ONE_CELL[3, 4] = 1.0
UNIFORM = np.full((8, 8), 1 / 64)


@pytest.mark.parametrize("density", DENSITIES)
def test_entropy_equals_scipy(density):
    expected = scipy.stats.entropy(density.ravel())
    assert spread.entropy(density) == pytest.approx(expected, abs=1e-12)
    assert spread.entropy_bits(density) == pytest.approx(
        scipy.stats.entropy(density.ravel(), base=2), abs=1e-12
    )
    assert spread.effective_area(density) == pytest.approx(np.exp(expected) / 64, abs=1e-12)


@pytest.mark.parametrize("density", DENSITIES)
def test_concentration_equals_the_exact_lorenz_curve(density):
    ordered = sorted(Fraction(value) for value in density.ravel().tolist())
    total = sum(ordered)
    lorenz = [float(sum(ordered[:n]) / total) for n in range(65)]
    expected = 1 - np.interp(0.9, np.linspace(0, 1, 65), lorenz)
    assert spread.concentration(density) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("density", DENSITIES)
def test_sparsity_equals_scikit_learns_scaling(density):
    expected = (maxabs_scale(density.reshape(-1, 1)) < 0.1).mean()
    assert spread.sparsity(density) == expected


@pytest.mark.parametrize("density", DENSITIES)
def test_gini_is_half_the_relative_mean_absolute_difference(density):
    cells = density.ravel()
    expected = np.abs(cells[:, None] - cells).mean() / (2 * cells.mean())
    assert spread.gini(density) == pytest.approx(expected, abs=1e-12)


def test_limits_of_a_single_cell():
    assert spread.entropy(ONE_CELL) == 0
    assert spread.effective_area(ONE_CELL) == 1 / 64
    assert spread.concentration(ONE_CELL) == 1
    assert spread.sparsity(ONE_CELL) == 63 / 64
    assert spread.gini(ONE_CELL) == 63 / 64


def test_limits_of_the_uniform_density():
    assert spread.entropy(UNIFORM) == pytest.approx(np.log(64), abs=1e-12)
    assert spread.effective_area(UNIFORM) == pytest.approx(1, abs=1e-12)
    assert spread.concentration(UNIFORM) == pytest.approx(0.1, abs=1e-12)
    assert spread.sparsity(UNIFORM) == 0
    assert spread.gini(UNIFORM) == pytest.approx(0, abs=1e-12)


def test_a_cell_at_exactly_a_tenth_of_the_largest_is_not_empty():
    cells = np.full((8, 8), 3.0)
    cells[0, 0], cells[1, 1] = 0.3, 0.29
    for scale in (1.0, 1 / 3, 1 / cells.sum(), 0.7):
        assert spread.sparsity(cells * scale) == 1 / 64


def test_stacks_are_measured_map_by_map():
    stack = np.stack(DENSITIES)
    for measure in (spread.entropy, spread.concentration, spread.sparsity, spread.gini):
        np.testing.assert_array_equal(measure(stack), [measure(density) for density in DENSITIES])
