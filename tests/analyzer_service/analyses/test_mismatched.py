import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.reassignment import all_assignments, random_assignments
from analyzer_service.analyses.significance import (
    ArrayError,
    mismatched_test_of,
    mismatched_tile_test,
)
from analyzer_service.analyses.slides import slides_of
from tests.analyzer_service.analyses.maps import noise, smooth


def stack(count, *, seed=0, size=8):
    return np.stack([noise(size, size, seed=100 * seed + i) for i in range(count)])


def library_matrix(maps, features):
    return np.array(
        [[scipy.stats.pearsonr(a.ravel(), f.ravel()).statistic for f in features] for a in maps]
    )


def exhaustive_p(matrix, orders):
    """Share of the orders as far from the mean of all as the first, which is the tiles' own."""
    null = np.array([np.mean([matrix[i, j] for i, j in enumerate(order)]) for order in orders])
    far = np.abs(null - null.mean())
    return np.mean(far >= far[0] - 1e-12)


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_few_tiles_are_tested_by_every_permutation(count):
    maps, features = stack(count), stack(count, seed=1)
    matrix = library_matrix(maps, features)
    found = mismatched_tile_test(maps, features)
    others = matrix[~np.eye(count, dtype=bool)].mean()
    assert found.matched_mean == pytest.approx(np.trace(matrix) / count, abs=1e-13)
    assert found.mismatched_mean == pytest.approx(others, abs=1e-13)
    assert found.effect == pytest.approx(np.trace(matrix) / count - others, abs=1e-13)
    assert found.p == pytest.approx(exhaustive_p(matrix, itertools.permutations(range(count))))
    assert (found.n, found.left_out, found.exact) == (count, 0, True)
    assert found.permutations == math.factorial(count)


def test_random_permutations_come_near_the_exact_p():
    matrix = library_matrix(stack(8), stack(8, seed=1))
    exact = exhaustive_p(matrix, itertools.permutations(range(8)))
    found = mismatched_test_of(matrix, permutations=20_000)
    assert not found.exact
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))


def test_random_permutations_equal_scipys_up_to_chance():
    matrix = library_matrix(stack(12), stack(12, seed=3))
    expected = scipy.stats.permutation_test(
        (np.arange(12),),
        lambda order: matrix[np.arange(12), order.astype(int)].mean() - matrix.mean(),
        permutation_type="pairings",
        n_resamples=9999,
        rng=np.random.default_rng(0),
    ).pvalue
    assert mismatched_test_of(matrix, permutations=9999).p == pytest.approx(expected, abs=0.03)


def test_attention_on_its_own_tile_is_found_and_on_the_border_of_all_is_not():
    border = np.pad(np.zeros((6, 6)), 1, constant_values=5.0)
    maps, features = stack(20), stack(20, seed=1)
    shared = mismatched_tile_test(maps + border, features + border)
    assert shared.matched_mean > 0.9
    assert abs(shared.effect) < 0.02
    assert shared.p > 0.05
    own = mismatched_tile_test(maps + border, maps + features + border)
    assert own.effect > 0.01
    assert own.p == 1 / 1000


def test_attention_that_avoids_the_feature_is_found_too():
    maps = stack(20)
    found = mismatched_tile_test(maps, stack(20, seed=1) - maps)
    assert found.effect < -0.3
    assert found.p == 1 / 1000


def test_p_is_never_zero_and_one_where_nothing_differs():
    perfect = np.eye(30)
    assert mismatched_test_of(perfect, permutations=99).p == 1 / 100
    assert mismatched_test_of(perfect[:4, :4]).p == 1 / 24
    assert mismatched_test_of(np.full((30, 30), 0.3)).p == 1
    assert (
        mismatched_tile_test(stack(1).repeat(9, axis=0), stack(1, seed=1).repeat(9, axis=0)).p == 1
    )


def test_a_seed_gives_one_result_and_seeds_differ():
    matrix = noise(30, 30)
    assert mismatched_test_of(matrix, seed=4) == mismatched_test_of(matrix, seed=4)
    assert len({mismatched_test_of(matrix, seed=seed).p for seed in range(5)}) > 1


def test_ranks_are_tested_on_demand():
    maps = stack(12)
    curved = np.exp(30 * maps)
    ranked = mismatched_tile_test(maps, curved, statistic="spearman")
    assert ranked.matched_mean == pytest.approx(1, abs=1e-12)
    assert mismatched_tile_test(maps, curved).matched_mean < 0.9


def test_the_test_looks_only_at_which_tiles_belong_together():
    matrix = noise(6, 6)
    order = np.array([4, 0, 5, 2, 1, 3])
    found, moved = (mismatched_test_of(m) for m in (matrix, matrix[np.ix_(order, order)]))
    for name, value in dataclasses.asdict(found).items():
        assert getattr(moved, name) == pytest.approx(value, abs=1e-14), name
    assert mismatched_test_of(10 * matrix - 3).p == found.p
    assert mismatched_test_of(-matrix).p == found.p


def test_tiles_without_a_value_are_left_out():
    maps, features = stack(9), stack(9, seed=1)
    expected = mismatched_tile_test(maps[3:], features[3:])
    maps[0], features[1], maps[2] = 0.5, np.nan, np.inf
    found = mismatched_tile_test(maps, features)
    assert found == dataclasses.replace(expected, left_out=3)


def test_a_value_undefined_with_another_tile_only_leaves_both_out():
    matrix = noise(6, 6)
    expected = mismatched_test_of(matrix[np.ix_([0, 2, 4, 5], [0, 2, 4, 5])])
    matrix[1, 3] = np.nan
    assert mismatched_test_of(matrix) == dataclasses.replace(expected, left_out=2)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_tiles_have_no_p(count):
    found = mismatched_tile_test(stack(3)[:count], stack(3, seed=1)[:count])
    assert found.n == count
    assert math.isnan(found.p)
    assert math.isnan(found.effect)
    assert math.isnan(found.matched_mean) == (count == 0)


def test_nothing_but_flat_maps_have_no_result():
    found = mismatched_tile_test(np.ones((5, 8, 8)), stack(5), groups=list("aabbb"))
    assert (found.n, found.left_out, found.slides) == (0, 5, 0)
    assert math.isnan(found.p)


SLIDES = np.array([1, 0, 1, 0])


def slide_orders():
    """All ways to give the tiles 1, 3 of slide 0 and 0, 2 of slide 1 features slide by slide."""
    for own in itertools.permutations([1, 3]):
        for other in itertools.permutations([0, 2]):
            yield {1: own[0], 3: own[1], 0: other[0], 2: other[1]}
            yield {1: other[0], 3: other[1], 0: own[0], 2: own[1]}


def test_slides_are_permuted_as_wholes():
    matrix = noise(4, 4, seed=5)
    orders = sorted([order[i] for i in range(4)] for order in slide_orders())
    orders.insert(0, orders.pop(orders.index([0, 1, 2, 3])))
    found = mismatched_test_of(matrix, groups=SLIDES)
    assert found.p == pytest.approx(exhaustive_p(matrix, orders))
    between = [matrix[i, j] for i in range(4) for j in range(4) if SLIDES[i] != SLIDES[j]]
    assert found.mismatched_mean == pytest.approx(np.mean(between))
    assert (found.slides, found.within_one_slide, found.permutations) == (2, False, 8)


@pytest.mark.parametrize("sizes", [[3, 3, 3], [1, 4, 2]])
def test_random_assignments_keep_slides_together_and_reach_all_alike(sizes):
    numbers = np.random.default_rng(1).permutation(np.repeat(np.arange(3), sizes))
    slides = slides_of(numbers)
    drawn = random_assignments(slides, 6000, np.random.default_rng(2))
    for slide in range(3):
        assert (np.ptp(numbers[drawn[:, numbers == slide]], axis=1) == 0).all()
    if len(set(sizes)) == 1:
        assert (np.sort(drawn, axis=1) == np.arange(9)).all()
    every = all_assignments(slides)
    assert len(every) == 6 * math.prod(map(math.factorial, sizes))
    for tile in range(len(numbers)):
        seen, expected = (np.bincount(a[:, tile], minlength=len(numbers)) for a in (drawn, every))
        np.testing.assert_allclose(seen / 6000, expected / len(every), atol=0.03)


def test_the_null_of_slides_of_unequal_size_has_the_mean_of_all_its_assignments():
    matrix = noise(6, 6, seed=2)
    groups = ["a", "b", "b", "c", "b", "c"]
    every = all_assignments(slides_of(np.array([0, 1, 1, 2, 1, 2])))
    null = matrix[np.arange(6), every].mean(axis=1)
    distance = abs(np.trace(matrix) / 6 - null.mean())
    expected = np.mean(np.abs(null - null.mean()) >= distance - 1e-12)
    assert mismatched_test_of(matrix, groups=groups).p == pytest.approx(expected)


def test_slides_of_one_tile_are_tiles():
    matrix = noise(12, 12)
    alone = mismatched_test_of(matrix, groups=[f"slide {i}" for i in range(12)])
    assert alone == dataclasses.replace(mismatched_test_of(matrix), slides=12)


def test_one_slide_is_permuted_within_and_says_so():
    matrix = noise(12, 12)
    found = mismatched_test_of(matrix, groups=["only"] * 12)
    assert (found.slides, found.within_one_slide) == (1, True)
    plain = mismatched_test_of(matrix)
    assert found.mismatched_mean == plain.mismatched_mean
    assert found.p == pytest.approx(plain.p, abs=0.1)
    assert not plain.within_one_slide


def test_two_slides_that_agree_by_chance_are_no_evidence():
    """Every tile of a slide alike: two independent observations, however many tiles."""
    slide = np.repeat([0, 1], 20)
    matrix = np.where(slide[:, None] == slide, 0.9, -0.9)
    assert mismatched_test_of(matrix).p == 1 / 1000
    assert mismatched_test_of(matrix, groups=slide).p > 0.4


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: mismatched_tile_test(stack(3), stack(4)), "as many maps as features"),
        (lambda: mismatched_tile_test(stack(3), stack(3, size=4)), "regrid"),
        (lambda: mismatched_tile_test(noise(8, 8), noise(8, 8)), "stack"),
        (lambda: mismatched_test_of(noise(3, 4)), "as many maps as features"),
        (lambda: mismatched_test_of([1, 2]), "2-D map"),
        (lambda: mismatched_test_of(noise(3, 3), groups=["a"]), "slide of each of 3 tiles"),
        (lambda: mismatched_test_of(noise(2, 2), groups=["a", None]), "unknown slides"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, complaint):
    with pytest.raises(ArrayError, match=complaint):
        call()


def test_no_permutations_are_refused():
    with pytest.raises(ValueError, match="permutations"):
        mismatched_test_of(noise(9, 9), permutations=0)


def test_smooth_unrelated_maps_are_called_significant_as_often_as_stated():
    """200 runs at 0.05: 3 standard errors are 0.046."""
    p = [
        mismatched_tile_test(
            np.stack([smooth(8, 8, seed=1000 * run + i) for i in range(8)]),
            np.stack([smooth(8, 8, seed=1000 * run + 500 + i) for i in range(8)]),
            permutations=199,
            seed=run,
        ).p
        for run in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 0.046
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.11)
