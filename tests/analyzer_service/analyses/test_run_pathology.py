"""Tests over a run's tiles: each number by its definition, and what is undefined."""

import numpy as np
import pytest
from scipy import stats

from analyzer_service.analyses import run_pathology
from analyzer_service.analyses.overlap import NAMES, stack_nuclear_attention
from analyzer_service.analyses.run_pathology import FEWEST_TILES, LayerMaps
from tests.analyzer_service.analyses.maps import smooth

TILES, SIDE = 12, 8


def layer(*, follows, seed=0, tiles=TILES):
    """Gates that follow the nuclei of their tile by a share, or keep away (a negative one)."""
    nuclei = np.stack([smooth(SIDE, SIDE, seed=seed + i) for i in range(tiles)])
    nuclei = (nuclei - nuclei.min()) / np.ptp(nuclei)
    noise = np.stack([smooth(SIDE, SIDE, seed=seed + 1000 + i) for i in range(tiles)])
    scaled = (noise - noise.mean()) / noise.std()
    gates = 1 / (1 + np.exp(-(follows * (nuclei - 0.5) * 8 + scaled)))
    return LayerMaps(gates, {"tissue": nuclei, "nuclear_density": nuclei**2}, nuclei.copy())


def outcome_of(layers, slides=None, seed=0):
    count = len(next(iter(layers.values())).gates)
    found = run_pathology.test_run(layers, slides or [None] * count, seed=seed)
    return found, {(test.layer, test.kind, test.feature): test for test in found.tests}


@pytest.mark.parametrize("follows", [1.0, -1.0])
def test_every_number_is_the_mean_of_its_definition(follows):
    maps = layer(follows=follows)
    _, tests = outcome_of({"gate": maps})
    columns = stack_nuclear_attention(maps.gates, maps.nuclei)
    for kind, name in (("enrichment", NAMES[1]), ("auc", NAMES[2])):
        assert tests["gate", kind, "nuclei"].matched == pytest.approx(columns[name].mean())
    for feature, fields in maps.features.items():
        pairs = np.array(
            [[stats.pearsonr(g.ravel(), f.ravel())[0] for f in fields] for g in maps.gates]
        )
        others = pairs[~np.eye(TILES, dtype=bool)].mean()
        test = tests["gate", "correlation", feature]
        assert test.matched == pytest.approx(np.diagonal(pairs).mean())
        assert test.mismatched == pytest.approx(others)
        assert test.effect == pytest.approx(np.diagonal(pairs).mean() - others)
    assert all(np.sign(test.effect) == np.sign(follows) for test in tests.values())
    assert all(test.low < test.matched < test.high for test in tests.values())
    assert all(test.effect_low < test.effect < test.effect_high for test in tests.values())


def test_p_values_are_adjusted_over_all_layers_and_numbers():
    layers = {"one": layer(follows=0.4), "other": layer(follows=0.0, seed=50)}
    found, _ = outcome_of(layers)
    expected = stats.false_discovery_control([test.p for test in found.tests])
    np.testing.assert_allclose([test.p_adjusted for test in found.tests], expected)
    assert len(found.tests) == 8


def test_a_layer_without_a_pattern_is_undefined_and_costs_the_others_nothing():
    one = layer(follows=1.0)
    flat = LayerMaps(np.full_like(one.gates, 0.5), one.features, one.nuclei)
    alone, _ = outcome_of({"one": one})
    both, tests = outcome_of({"one": one, "flat": flat})
    assert both.tests[:4] == alone.tests
    assert all(
        np.isnan(test.p) and np.isnan(test.p_adjusted) and not test.significant and test.n == 0
        for (name, _, _), test in tests.items()
        if name == "flat"
    )


def test_tiles_without_nuclei_are_left_out_of_what_needs_them():
    maps = layer(follows=1.0)
    maps.nuclei[:3] = 0.0
    maps.nuclei[3] = 1.0  # a full mask: it has an enrichment and no AUC
    _, tests = outcome_of({"gate": maps})
    assert tests["gate", "enrichment", "nuclei"].n == TILES - 3
    assert tests["gate", "auc", "nuclei"].n == TILES - 4
    assert tests["gate", "correlation", "tissue"].n == TILES


def test_too_few_tiles_have_a_mean_and_no_test():
    _, tests = outcome_of({"gate": layer(follows=1.0, tiles=FEWEST_TILES - 1)})
    test = tests["gate", "correlation", "tissue"]
    assert np.isfinite(test.matched)
    assert np.isnan([test.p, test.p_adjusted, test.low, test.effect_low]).all()


@pytest.mark.parametrize(
    ("slides", "least"),  # slides times tiles of each, permuted: the most that there is to compare
    [
        ("aabb", 1 / (2 * 2 * 2)),
        ("aaab", 1 / (2 * 6)),
        ("aabbb", 1 / (2 * 2 * 6)),
        ("abcd", 1 / 24),
    ],
)
def test_a_test_that_cannot_come_under_its_level_is_not_made(slides, least):
    _, tests = outcome_of({"gate": layer(follows=3.0, tiles=len(slides))}, list(slides))
    for test in tests.values():
        assert np.isfinite(test.matched)
        assert np.isnan(test.p) == (least > 0.05)
        assert np.isnan(test.p) or test.p >= least


def test_tiles_that_are_left_of_one_slide_are_not_exchanged_within_it():
    maps = layer(follows=1.0)
    maps.nuclei[: TILES // 2] = 0.0  # every nucleus is on the second slide
    slides = ["a"] * (TILES // 2) + ["b"] * (TILES // 2)
    found, tests = outcome_of({"gate": maps}, slides)
    assert found.by_slide
    test = tests["gate", "enrichment", "nuclei"]
    assert test.n == TILES // 2
    assert np.isnan([test.p, test.effect, test.low]).all()
    assert np.isfinite(tests["gate", "correlation", "tissue"].p)


@pytest.mark.parametrize(
    ("slides", "count", "by_slide"),
    [
        (["a"], 1, False),
        (["a", None], 1, False),
        (["a", "b", None], 2, False),
        (["a", "b"], 2, True),
    ],
)
def test_slides_are_permuted_only_where_all_are_known(slides, count, by_slide):
    each = [slides[i % len(slides)] for i in range(TILES)]
    found, _ = outcome_of({"gate": layer(follows=0.3)}, each)
    assert (found.slides, found.by_slide) == (count, by_slide)


def test_the_same_seed_gives_the_same_numbers():
    layers = {"gate": layer(follows=0.3)}
    assert outcome_of(layers, seed=3)[0] == outcome_of(layers, seed=3)[0]


def test_tiles_that_go_opposite_ways_depend_on_the_tissue_in_no_direction():
    toward, away = (layer(follows=follows, tiles=40) for follows in (2.0, -2.0))
    gates = np.concatenate([toward.gates[:20], away.gates[20:]])
    _, tests = outcome_of({"gate": LayerMaps(gates, {}, toward.nuclei)})
    test = tests["gate", "auc", "nuclei"]
    assert not test.directed
    assert test.effect_low <= 0 <= test.effect_high
    _, tests = outcome_of({"gate": toward})
    assert tests["gate", "auc", "nuclei"].directed


def test_intervals_end_where_their_numbers_do():
    # The layer follows one slide's tissue and keeps away from the other's: of two slides the
    # interval is the mean -+ 12.7 standard errors.
    one, other = (layer(follows=follows, tiles=8) for follows in (2.0, -2.0))
    gates = np.concatenate([one.gates[:4], other.gates[4:]])
    maps = LayerMaps(gates, {"tissue": one.features["tissue"]}, one.nuclei)
    _, tests = outcome_of({"gate": maps}, slides=["a"] * 4 + ["b"] * 4)
    r = tests["gate", "correlation", "tissue"]
    assert (r.low, r.high, r.effect_low, r.effect_high) == (-1.0, 1.0, -2.0, 2.0)
    auc = tests["gate", "auc", "nuclei"]
    assert (auc.low, auc.high, auc.effect_low, auc.effect_high) == (0.0, 1.0, -1.0, 1.0)
    enrichment = tests["gate", "enrichment", "nuclei"]
    assert enrichment.low == 0.0
    assert enrichment.high > 1.0
    assert enrichment.effect_low < -1.0
