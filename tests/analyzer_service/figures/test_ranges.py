import math

import pytest

from analyzer_service.figures import ranges

# The guide's ranges, as its sections "Key Metrics Tracked" and "Key Performance Indicators" say.
GUIDE = {
    "ssim": "≥ 0.8",
    "attention_entropy": "2–4 nats",
    "attention_concentration_10": "0.2–0.6",
    "attention_sparsity": "0.3–0.7",
    "attention_center_distance": "0.2–0.5",
    "num_attention_peaks": "1–5",
    "inference_time_ms": "< 200 ms",
}


def test_the_guides_ranges_are_all_there() -> None:
    assert {good.key: good.text() for good in ranges.GOOD_RANGES} == GUIDE


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1.99, "below"), (2.0, "in"), (4.0, "in"), (4.01, "above"), (math.nan, "undefined")],
)
def test_limits_belong_to_a_range(value: float, verdict: str) -> None:
    assert ranges.ENTROPY.judge(value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, "in"), (199.9, "in"), (200.0, "above"), (math.inf, "above"), (None, "undefined")],
)
def test_a_strict_limit_does_not(value: float | None, verdict: str) -> None:
    assert ranges.INFERENCE_TIME.judge(value) == verdict


def test_every_band_lies_on_its_charts_scale() -> None:
    for good in (*ranges.ATTENTION_RANGES, ranges.CONTRAST_FLOOR):
        low, high = good.scale
        assert low <= (good.low or low) < (good.high or high) <= high
