import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from analyzer_service.analyses.significance import ArrayError, cluster_bootstrap

VALUES = np.random.default_rng(0).gamma(4, 0.5, 400)


def test_over_many_tiles_it_is_scipys_percentile_interval():
    found = cluster_bootstrap(VALUES, resamples=20_000)
    expected = scipy.stats.bootstrap(
        (VALUES,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.mean == pytest.approx(VALUES.mean(), abs=1e-12)
    assert found.low == pytest.approx(expected.low, abs=0.005)
    assert found.high == pytest.approx(expected.high, abs=0.005)
    assert (found.n, found.slides, found.across_slides) == (400, 0, False)


def test_over_slides_it_draws_them_with_all_their_tiles():
    """Against a resampling that goes slide by slide, at Hesterberg's quantiles for 12 slides."""
    slides = np.random.default_rng(3).integers(0, 12, 400)
    values = VALUES + np.linspace(-1, 1, 12)[slides]
    rng = np.random.default_rng(5)
    parts = [values[slides == slide] for slide in range(12)]
    drawn = [
        np.concatenate([parts[i] for i in rng.integers(0, 12, 12)]).mean() for _ in range(9999)
    ]
    tail = scipy.stats.norm.cdf(scipy.stats.t.ppf(0.025, 11) * math.sqrt(12 / 11))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    found = cluster_bootstrap(values, [f"s{slide}" for slide in slides], resamples=9999)
    assert found.low == pytest.approx(low, abs=0.04)
    assert found.high == pytest.approx(high, abs=0.04)
    assert (found.slides, found.across_slides) == (12, True)
    alone = cluster_bootstrap(values)
    assert found.high - found.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("slides", [2, 3, 5])
def test_over_few_slides_it_is_as_wide_as_students_t(slides):
    """Slides of one size: the resampled means have 1 / G of the variance of the slides' means."""
    means = np.random.default_rng(slides).normal(size=slides)
    found = cluster_bootstrap(
        np.repeat(means, 7), np.repeat(np.arange(slides), 7), resamples=50_000
    )
    expected = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert found.low == pytest.approx(expected.low, rel=0.02)
    assert found.high == pytest.approx(expected.high, rel=0.02)


def test_the_interval_grows_with_its_level():
    widths = [
        (lambda found: found.high - found.low)(cluster_bootstrap(VALUES, level=level))
        for level in (0.5, 0.8, 0.95, 0.99)
    ]
    assert widths == sorted(widths)
    assert cluster_bootstrap(VALUES, level=0.8).level == 0.8


def test_undefined_values_do_not_count():
    slides = np.arange(400) % 9
    holes = VALUES.copy()
    holes[slides == 4] = np.nan
    kept = slides != 4
    expected = cluster_bootstrap(VALUES[kept], slides[kept])
    assert cluster_bootstrap(holes, slides) == dataclasses.replace(
        expected, left_out=int((~kept).sum())
    )
    assert expected.slides == 8


def test_one_slide_draws_its_tiles_and_says_that_it_holds_for_it_only():
    found = cluster_bootstrap(VALUES, ["only"] * 400)
    assert found == dataclasses.replace(cluster_bootstrap(VALUES), slides=1)
    assert not found.across_slides


def test_slides_with_names_in_any_order_are_the_same():
    slides = np.arange(400) % 7
    named = [f"{'zyxwvut'[slide]}" for slide in slides]
    assert cluster_bootstrap(VALUES, named) == cluster_bootstrap(VALUES, slides)


def test_a_seed_gives_one_result_and_seeds_differ():
    assert cluster_bootstrap(VALUES, seed=1) == cluster_bootstrap(VALUES, seed=1)
    assert cluster_bootstrap(VALUES, seed=1).low != cluster_bootstrap(VALUES, seed=2).low


@pytest.mark.parametrize("values", [[], [np.nan], [np.nan, np.nan], [2.0], [2.0, None]])
def test_fewer_than_two_values_have_no_interval(values):
    found = cluster_bootstrap(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.n + found.left_out == len(values)
    assert found.mean == 2.0 if found.n else math.isnan(found.mean)


def test_equal_values_have_an_interval_of_no_width():
    found = cluster_bootstrap([1.5] * 20, np.arange(20) // 4)
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)


def test_many_tiles_are_drawn_in_parts_as_in_one(monkeypatch):
    from analyzer_service.analyses import bootstrap

    expected = cluster_bootstrap(VALUES)
    monkeypatch.setattr(bootstrap, "_DRAWN_TOGETHER", 4000)
    assert cluster_bootstrap(VALUES) == expected


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: cluster_bootstrap([[1, 2], [3, 4]]), r"each tile \(N,\)"),
        (lambda: cluster_bootstrap(["a"]), "numbers"),
        (lambda: cluster_bootstrap([1, 2, 3], ["a", "b"]), "slide of each of 3 tiles"),
    ],
)
def test_what_has_no_mean_is_refused(call, complaint):
    with pytest.raises(ArrayError, match=complaint):
        call()


@pytest.mark.parametrize("options", [{"level": 0}, {"level": 1}, {"level": 95}, {"resamples": 0}])
def test_impossible_intervals_are_refused(options):
    with pytest.raises(ValueError, match="level"):
        cluster_bootstrap([1, 2, 3], **options)
