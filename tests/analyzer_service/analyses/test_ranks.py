"""Midranks; `scipy.stats.rankdata` is the reference."""

import numpy as np
import pytest
from scipy.stats import rankdata

from analyzer_service.analyses.ranks import midranks


@pytest.mark.parametrize("digits", [16, 1, 0])
@pytest.mark.parametrize("seed", range(3))
def test_ranks_equal_scipys(seed, digits):
    rows = np.random.default_rng(seed).normal(size=(5, 200)).round(digits)
    np.testing.assert_array_equal(midranks(rows), rankdata(rows, axis=1))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1)])
def test_few_values_have_ranks_too(shape):
    assert midranks(np.zeros(shape)).shape == shape
