import math
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.significance import ArrayError, correlation_matrix, spearman
from tests.analyzer_service.analyses.maps import noise, smooth

LIBRARY = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("shape", [(2, 2), (5, 9), (16, 16)])
def test_all_pairs_equal_scipy(method, shape):
    maps = np.stack([noise(*shape, seed=i) for i in range(4)])
    features = np.stack([maps[1] + smooth(*shape, seed=i).round(1) for i in range(3)])
    expected = [[LIBRARY[method](a.ravel(), f.ravel()).statistic for f in features] for a in maps]
    np.testing.assert_allclose(
        correlation_matrix(maps, features, method=method), expected, atol=1e-13
    )


def test_equal_values_share_their_rank():
    a, f = noise(6, 7).round(1), noise(6, 7, seed=1).round(1)
    expected = scipy.stats.spearmanr(a.ravel(), f.ravel()).statistic
    assert spearman(a, f) == pytest.approx(expected, abs=1e-13)


def test_ranks_do_not_see_a_monotone_change():
    a = noise(8, 8)
    assert spearman(a, np.exp(20 * a)) == pytest.approx(1, abs=1e-13)
    assert spearman(a, -(a**3)) == pytest.approx(-1, abs=1e-13)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_patternless_maps_are_undefined_rows_and_columns(method):
    maps = np.stack([noise(6, 6), np.full((6, 6), 0.3), noise(6, 6, seed=1)])
    features = np.stack([np.full((6, 6), np.nan), noise(6, 6, seed=2)])
    undefined = np.isnan(correlation_matrix(maps, features, method=method))
    assert undefined.tolist() == [[True, False], [True, True], [True, False]]
    assert math.isnan(spearman(maps[1], features[1]))


@pytest.mark.parametrize("shape", [(3, 1, 9), (3, 0, 0), (0, 8, 8)])
def test_tiny_maps_and_no_maps(shape):
    found = correlation_matrix(np.ones(shape), np.ones(shape))
    assert found.shape == (shape[0], shape[0])
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: correlation_matrix(np.ones((2, 8, 8)), np.ones((2, 4, 4))), "regrid"),
        (lambda: correlation_matrix(noise(8, 8), noise(8, 8)), "stack"),
        (lambda: spearman(noise(8, 8), noise(4, 4)), "one size"),
        (lambda: spearman([1, 2], [3, 4]), "2-D map"),
    ],
)
def test_maps_that_cannot_be_correlated_are_refused(call, complaint):
    with pytest.raises(ArrayError, match=complaint):
        call()


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="kendall"):
        correlation_matrix(np.ones((1, 4, 4)), np.ones((1, 4, 4)), method="kendall")


DIGEST = """
import hashlib, numpy as np
from analyzer_service.analyses.significance import correlation_matrix
maps = np.random.default_rng(0).random((2, 100, 32, 32))
print(hashlib.sha256(correlation_matrix(*maps).tobytes()).hexdigest())
"""


def test_the_number_of_threads_does_not_change_a_bit():
    """A plain product of these matrices does change with it, where there are two processors."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1
