import numpy as np
import pytest

from analyzer_service.analyses.significance import (
    ArrayError,
    cluster_bootstrap,
    mismatched_test_of,
    tile_effects,
)
from tests.analyzer_service.analyses.maps import noise

SLIDES = ["a", "b", "b", "c", "b", "c"]


@pytest.mark.parametrize("groups", [None, SLIDES, ["a"] * 6])
def test_their_mean_is_the_effect_of_the_test(groups):
    matrix = noise(6, 6)
    effects = tile_effects(matrix, groups=groups)
    expected = mismatched_test_of(matrix, groups=groups).effect
    assert effects.mean() == pytest.approx(expected, abs=1e-14)


def test_each_is_a_tiles_value_less_what_it_gets_elsewhere():
    matrix = noise(6, 6, seed=1)
    effects = tile_effects(matrix, groups=SLIDES)
    for i, j in [(0, 1), (2, 5)]:
        own = []
        for tile in (i, j):
            others = [k for k in range(6) if SLIDES[k] != SLIDES[tile]]
            elsewhere = np.mean(matrix[tile, others]) + np.mean(matrix[others, tile])
            own.append(matrix[tile, tile] - elsewhere)
        assert effects[i] - effects[j] == pytest.approx(own[0] - own[1], abs=1e-14)


def test_their_spread_is_the_uncertainty_of_the_effect():
    """Against the spread of the effect over 400 draws of 40 tiles; values that tiles share."""
    rng = np.random.default_rng(0)
    effects, errors = [], []
    for _ in range(400):
        attention, feature = rng.normal(size=(2, 40))
        matrix = attention[:, None] * feature + rng.normal(size=40)[:, None] + 3
        found = tile_effects(matrix)
        effects.append(found.mean())
        errors.append(found.std(ddof=1) / np.sqrt(40))
    assert np.mean(errors) == pytest.approx(np.std(effects), rel=0.1)


def test_tiles_left_out_are_undefined_and_the_interval_leaves_them_out():
    matrix = noise(6, 6)
    matrix[1], matrix[:, 4] = np.nan, np.nan
    effects = tile_effects(matrix, groups=SLIDES)
    assert np.flatnonzero(np.isnan(effects)).tolist() == [1, 4]
    interval = cluster_bootstrap(effects, SLIDES)
    assert (interval.n, interval.left_out, interval.slides) == (4, 2, 3)
    assert interval.mean == pytest.approx(mismatched_test_of(matrix, groups=SLIDES).effect)


@pytest.mark.parametrize("matrix", [np.empty((0, 0)), [[0.5]], [[0.5, np.nan], [0.2, np.nan]]])
def test_fewer_than_two_tiles_have_no_effects(matrix):
    assert np.isnan(tile_effects(matrix)).all()


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(ArrayError, match="as many maps as features"):
        tile_effects(noise(3, 4))
