"""Two maps as densities: scipy, and by hand."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.saliency import divergence, similarity
from tests.analyzer_service.analyses.maps import noise


def test_divergence_equals_scipys():
    one, other = noise(6, 7, seed=1), noise(6, 7, seed=2)
    expected = entropy(one.ravel(), other.ravel())
    assert divergence(one, other) == pytest.approx(expected, rel=1e-12)


def test_a_density_shares_all_with_itself_and_nothing_with_its_complement():
    density = np.eye(4)
    assert similarity(density, 3 * density) == pytest.approx(1.0)
    assert divergence(density, 3 * density) == pytest.approx(0.0)
    assert similarity(density, 1 - density) == 0.0
    assert divergence(density, 1 - density) == math.inf


def test_negative_values_are_raised_and_no_mass_is_undefined():
    assert similarity([[-1.0, 1.0]], [[0.0, 5.0]]) == 1.0
    assert math.isnan(similarity(np.zeros((2, 2)), np.eye(2)))
    assert math.isnan(divergence(np.eye(2), np.full((2, 2), math.nan)))


def test_maps_of_other_sizes_are_refused():
    with pytest.raises(ArrayError, match="one size"):
        similarity(np.eye(2), np.eye(3))
