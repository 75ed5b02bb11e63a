"""The modified t test against its definition, spelled out pair of cells by pair of cells."""

import dataclasses
import functools
import math
import tracemalloc

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.distance_classes import default_nclass, distance_classes
from analyzer_service.analyses.significance import (
    ArrayError,
    compared,
    correlograms,
    modified_t_test,
    modified_t_tests,
)
from tests.analyzer_service.analyses.maps import blob, noise, smooth

FLAT = np.full((6, 9), 0.5)
BROKEN = np.where(np.indices((6, 9))[0] == 2, np.nan, 1.0)


@dataclasses.dataclass
class Reference:
    """Clifford and Dutilleul's estimate with full matrices of pairs of cells."""

    r: float
    ess: float
    dof: float
    p: float


def reference(a, f, nclass=None):
    a, f = np.asarray(a, float), np.asarray(f, float)
    nclass = nclass or math.ceil(math.hypot(a.shape[0] - 1, a.shape[1] - 1))
    classes = classes_of_pairs(a.shape, nclass)
    centering = np.eye(a.size) - 1.0 / a.size
    estimated = [correlation_matrix(field.ravel(), classes) for field in (a, f)]
    one, other = (centering @ matrix for matrix in estimated)
    ess = 1 + np.trace(one) * np.trace(other) / np.trace(one @ other)
    r, dof = scipy.stats.pearsonr(a.ravel(), f.ravel()).statistic, ess - 2
    p = scipy.stats.f.sf(dof * r**2 / (1 - r**2), 1, dof) if dof > 0 else math.nan
    return Reference(r, ess, dof, p)


@functools.cache
def classes_of_pairs(shape, nclass):
    cells = np.argwhere(np.ones(shape, bool))
    distances = np.array([[math.hypot(*(one - other)) for other in cells] for one in cells])
    bounds, bound = [], 0.0
    for _ in range(nclass):
        bound += distances.max() / nclass
        bounds.append(bound)
    classes = np.minimum((distances[:, :, None] > np.array(bounds)).sum(axis=2), nclass - 1)
    np.fill_diagonal(classes, -1)
    return classes


def correlation_matrix(values, classes):
    """Moran's I of the class of each two cells; 1 for a cell with itself."""
    z = values - values.mean()
    products = np.outer(z, z) / np.mean(z**2)
    matrix = np.eye(len(z))
    for k in range(classes.max() + 1):
        if (classes == k).any():
            matrix[classes == k] = products[classes == k].mean()
    return matrix


def assert_same(found, expected):
    assert found.r == pytest.approx(expected.r, abs=1e-12)
    assert found.ess == pytest.approx(expected.ess, rel=1e-10)
    assert found.dof == pytest.approx(expected.dof, rel=1e-10, abs=1e-10)
    assert found.p == pytest.approx(expected.p, abs=1e-10, nan_ok=True)


SHAPES = [(2, 2), (2, 7), (3, 3), (4, 4), (5, 12), (9, 4), (8, 8), (11, 13)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", [noise, smooth])
@pytest.mark.parametrize("nclass", [None, 1, 13, 40])
def test_it_equals_the_definition_pair_by_pair(shape, make, nclass):
    for seed in range(3):
        a, f = make(*shape, seed=seed), make(*shape, seed=seed + 50)
        assert_same(modified_t_test(a, f, nclass=nclass), reference(a, f, nclass))


def test_it_equals_the_definition_for_related_maps_and_for_trends():
    a = smooth(9, 7, seed=1)
    trend = np.add.outer(np.arange(9.0), 2 * np.arange(7.0))
    for f in (a + 0.1 * noise(9, 7), a + trend, trend, trend**2):
        assert_same(modified_t_test(a, f), reference(a, f))
        assert_same(modified_t_test(trend, f + a), reference(trend, f + a))


def test_a_pair_at_the_bound_of_two_classes_falls_as_the_running_sum_says():
    """A 4 x 5 grid has a diagonal of 5: with 5 classes whole distances lie on the bounds."""
    a, f = noise(4, 5, seed=3), noise(4, 5, seed=4)
    assert_same(modified_t_test(a, f, nclass=5), reference(a, f, 5))


def test_many_maps_give_what_each_gives_alone():
    a = smooth(16, 16)
    maps = np.stack([smooth(16, 16, seed=i) for i in range(1, 20)])
    together = modified_t_test(a, maps)
    for i, f in enumerate(maps):
        alone = modified_t_test(a, f)
        assert dataclasses.astuple(alone) == tuple(
            values[i] for values in (together.r, together.ess, together.dof, together.p)
        )
    assert isinstance(modified_t_test(a, maps[0]).p, float)


def test_tiles_give_what_each_gives_alone():
    gates = np.stack([[smooth(9, 12, seed=10 * n + k) for k in range(2)] for n in range(3)])
    maps = np.stack([[noise(9, 12, seed=10 * n + k) for k in range(4)] for n in range(3)])
    layers = modified_t_tests(gates, maps)
    assert layers.p.shape == (3, 2, 4)
    for n in range(3):
        for k in range(2):
            alone = modified_t_test(gates[n, k], maps[n])
            np.testing.assert_array_equal(layers.p[n, k], alone.p)
            np.testing.assert_array_equal(layers.ess[n, k], alone.ess)
    one_layer = modified_t_tests(gates[:, 1], maps)
    np.testing.assert_array_equal(one_layer.p, layers.p[:, 1])


def test_correlograms_are_kept_for_layers_that_come_later():
    gates, maps = noise(3, 48).reshape(3, 1, 6, 8), noise(6, 48, seed=1).reshape(3, 2, 6, 8)
    kept = correlograms(maps)
    found = compared(correlograms(gates), kept)
    np.testing.assert_array_equal(found.p[:, 0], modified_t_tests(gates[:, 0], maps).p)


def test_maps_swap_places_and_change_sign_and_unit():
    a, f = smooth(12, 9, seed=1), smooth(12, 9, seed=2)
    found = modified_t_test(a, f)
    assert_same(modified_t_test(f, a), found)
    assert_same(modified_t_test(a.T, f.T), found)
    assert_same(modified_t_test(a[::-1, ::-1], f[::-1, ::-1]), found)
    opposite = modified_t_test(-3 * a, 1e200 * f - 1e199)
    assert opposite.r == pytest.approx(-found.r, abs=1e-12)
    assert opposite.p == pytest.approx(found.p, abs=1e-10)


def test_smooth_maps_are_worth_few_cells_and_noise_about_all():
    assert modified_t_test(smooth(seed=1), smooth(seed=2)).ess < 30
    ess = [modified_t_test(noise(seed=i), noise(seed=i + 50)).ess for i in range(50)]
    assert np.mean(ess) == pytest.approx(1024, rel=0.05)


def test_a_map_with_itself_correlates_fully():
    found = modified_t_test(smooth(16, 16), smooth(16, 16))
    assert found.r == pytest.approx(1, abs=1e-12)
    assert found.p == pytest.approx(0, abs=1e-12)


def test_where_no_sample_size_fits_there_is_no_p():
    """Neighbors of one map agree where the other's differ: the estimated variance is negative."""
    stripes = np.tile(np.arange(8) % 2, (8, 1))
    for a, f in [(blob(8, sigma=0.2), stripes), (stripes, blob(8, sigma=0.2))]:
        found = modified_t_test(a, f, nclass=3)
        assert_same(found, reference(a, f, 3))
        assert found.dof < 0
        assert math.isnan(found.p)
        assert not math.isnan(found.r)


@pytest.mark.parametrize(
    "patternless",
    [
        FLAT,
        BROKEN,
        np.full((6, 9), np.inf),
        np.zeros((6, 9)),
    ],
)
def test_a_map_without_a_pattern_is_undefined_and_spoils_no_other(patternless):
    a, f = noise(6, 9), noise(6, 9, seed=1)
    for found in (modified_t_test(a, patternless), modified_t_test(patternless, f)):
        assert all(math.isnan(value) for value in dataclasses.astuple(found))
    mixed = modified_t_test(a, np.stack([patternless, f]))
    assert np.isnan(mixed.p[0])
    assert mixed.p[1] == modified_t_test(a, f).p


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (1, 4), (0, 3), (0, 0)])
def test_a_tiny_grid_is_undefined(shape):
    found = modified_t_test(noise(*shape), noise(*shape, seed=1))
    assert all(math.isnan(value) for value in dataclasses.astuple(found))


def test_no_maps_have_no_results():
    assert modified_t_test(noise(6, 9), np.empty((0, 6, 9))).p.shape == (0,)
    assert modified_t_tests(np.empty((0, 6, 9)), np.empty((0, 4, 6, 9))).p.shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: modified_t_test(noise(8, 8), noise(9, 9)), "regrid"),
        (lambda: modified_t_test(noise(8, 8), noise(8, 8)[0]), "axes"),
        (lambda: modified_t_test(noise(8, 8)[None], noise(8, 8)), "one 2-D map"),
        (lambda: modified_t_test(noise(8, 8), [noise(8, 8), noise(9, 9)]), "one size"),
        (lambda: modified_t_test(noise(8, 8), np.full((8, 8), "a")), "real numbers"),
        (lambda: modified_t_test(noise(8, 8), noise(8, 8), nclass=0), "positive"),
        (lambda: modified_t_tests(noise(8, 8)[None], noise(8, 8)[None]), "4 axes"),
        (lambda: modified_t_tests(np.ones((2, 8, 8)), np.ones((3, 1, 8, 8))), "same tiles"),
        (
            lambda: compared(
                correlograms(np.ones((1, 1, 8, 8))), correlograms(np.ones((1, 1, 8, 8)), nclass=3)
            ),
            "one nclass",
        ),
    ],
)
def test_maps_that_cannot_be_tested_are_refused(call, complaint):
    with pytest.raises(ArrayError, match=complaint):
        call()


@pytest.mark.parametrize("shape", [(2, 5), (7, 4), (16, 16)])
def test_every_pair_of_cells_is_in_one_class(shape):
    cells = shape[0] * shape[1]
    classes = distance_classes(*shape, default_nclass(*shape))
    assert classes.pairs.sum() == cells * (cells - 1) / 2
    half_plane = ((2 * shape[0] - 1) * (2 * shape[1] - 1) - 1) / 2
    assert len(classes.lags) == len(set(classes.lags.tolist())) == half_plane


def test_a_large_gate_takes_the_memory_of_a_few_maps():
    tracemalloc.start()
    distance_classes.__wrapped__(192, 192, default_nclass(192, 192))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 192 * 192 * 8 * 32
