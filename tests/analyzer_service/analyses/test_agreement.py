import itertools
import math

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention import (
    pearson,
    position_bias,
    spatial_consistency,
    temporal_consistency,
)
from tests.analyzer_service.analyses.maps import blob, noise, reference_density, smooth

FLAT = np.full((16, 16), 0.5)
BROKEN = np.full((16, 16), np.nan)
CHECKERBOARD = (np.indices((16, 16)).sum(axis=0) % 2).astype(float)


def scipy_r(one, other):
    return scipy.stats.pearsonr(np.ravel(one), np.ravel(other)).statistic


def test_spatial_consistency_is_scipys_mean_pairwise_pearson_of_the_densities():
    maps = [smooth(32, 32, seed=1), noise(16, 16), smooth(9, 33, seed=2), noise(3, 5)]
    grids = [reference_density(gate) for gate in maps]
    expected = np.mean([scipy_r(a, b) for a, b in itertools.combinations(grids, 2)])
    assert spatial_consistency(maps) == pytest.approx(expected, abs=1e-12)


def test_layers_without_a_pattern_are_left_out():
    maps = [smooth(32, 32), noise(16, 16)]
    expected = spatial_consistency(maps)
    unseen = [FLAT, BROKEN, CHECKERBOARD, noise(1, 9), np.empty((0, 0))]
    assert spatial_consistency([FLAT, maps[0], *unseen, maps[1]]) == expected


@pytest.mark.parametrize("maps", [[], [noise()], [noise(), FLAT], [FLAT, FLAT], [noise(), BROKEN]])
def test_consistency_needs_two_patterns(maps):
    assert math.isnan(spatial_consistency(maps))


def test_consistency_of_a_layer_with_its_rescaled_self_is_one():
    gate = smooth()
    assert spatial_consistency([gate, 0.2 * gate + 3, gate]) == pytest.approx(1, abs=1e-12)


def test_opposite_sides_are_inconsistent():
    assert spatial_consistency([blob(sigma=0.2, col=-0.3), blob(16, sigma=0.2, col=0.3)]) < -0.2


def test_position_bias_is_scipys_mean_pairwise_pearson_of_the_maps():
    maps = [noise(9, 12, seed=i) + smooth(9, 12) for i in range(5)]
    expected = np.mean([scipy_r(a, b) for a, b in itertools.combinations(maps, 2)])
    assert position_bias(maps) == pytest.approx(expected, abs=1e-12)
    assert position_bias(np.stack(maps).astype(np.float32)) == pytest.approx(expected, abs=1e-6)


def test_a_shared_pattern_has_a_bias_of_one_and_an_inverted_one_of_minus_one():
    gate = smooth()
    assert position_bias([gate, gate * 0.5, gate + 2]) == pytest.approx(1, abs=1e-12)
    assert position_bias([gate, -gate]) == pytest.approx(-1, abs=1e-12)


def test_maps_without_a_pattern_do_not_enter_the_bias():
    maps = [noise(16, 16, seed=1), noise(16, 16, seed=2)]
    assert position_bias([FLAT, maps[0], BROKEN, maps[1]]) == position_bias(maps)


@pytest.mark.parametrize(
    "maps",
    [[], [noise()], [FLAT, FLAT], [noise(16, 16), FLAT], np.empty((0, 8, 8)), [[[1, 2]]] * 3],
)
def test_bias_needs_two_patterns(maps):
    assert math.isnan(position_bias(maps))


@pytest.mark.parametrize("exponent", [-1000, 1000])
def test_correlations_hold_at_any_magnitude(exponent):
    one, other = noise(8, 8, seed=1), noise(8, 8, seed=2)
    assert pearson(np.ldexp(one, exponent), other) == pytest.approx(scipy_r(one, other), abs=1e-12)


def test_temporal_consistency_pairs_by_id():
    before = {"a": noise(seed=1), "b": noise(seed=2), "gone": noise(seed=3)}
    after = {"new": noise(seed=4), "b": smooth(seed=5), "a": noise(seed=6)}
    expected = np.mean([scipy_r(before[key], after[key]) for key in "ab"])
    assert temporal_consistency(before, after) == pytest.approx(expected, abs=1e-12)


def test_temporal_consistency_pairs_by_position():
    before, after = (
        np.stack([noise(seed=1), FLAT2, noise(seed=2)]),
        [noise(seed=i) for i in (3, 4, 5)],
    )
    expected = np.mean([scipy_r(before[i], after[i]) for i in (0, 2)])
    assert temporal_consistency(before, after) == pytest.approx(expected, abs=1e-12)


FLAT2 = np.full((32, 32), 0.5)


@pytest.mark.parametrize(("one", "other"), [([], []), ({}, {}), ({"a": FLAT}, {"b": FLAT})])
def test_temporal_consistency_of_nothing_is_undefined(one, other):
    assert math.isnan(temporal_consistency(one, other))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: position_bias(noise()), "stack"),
        (lambda: position_bias([noise(8, 8), noise(9, 9)]), "stack"),
        (lambda: spatial_consistency(noise()), "2-D map"),
        (lambda: pearson(noise(8, 8), noise(9, 9)), "one size"),
        (lambda: temporal_consistency([noise()], []), "by id"),
        (lambda: temporal_consistency({"a": noise()}, [noise()]), "by id"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused(call, complaint):
    with pytest.raises(ArrayError, match=complaint):
        call()
