"""The run's own numbers at a step, of those of its ranks."""

import math
import random
from typing import Any

import numpy as np
import pytest

from analyzer_service.commit.rank_means import mean_over_ranks


def row(rank: int = 0, step: int = 5, **values: Any) -> dict[str, Any]:
    place = {"epoch": 0, "batch_idx": 4, "global_step": step, "phase_step": step}
    return place | {"rank": rank, "timestamp": 7.0 + rank, "batch_size": 4, "samples": 2} | values


def test_a_mean_is_weighted_by_the_batches_sizes() -> None:
    losses, sizes = [0.5, 0.25, 2.0], [4, 2, 1]
    rows = [
        row(rank, loss=loss, batch_size=size)
        for rank, (loss, size) in enumerate(zip(losses, sizes, strict=True))
    ]
    mean = mean_over_ranks(rows)
    assert mean["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-15)
    assert (mean["batch_size"], mean["samples"], mean["ranks"]) == (7, 6, 3)
    assert mean["timestamp"] == 9.0
    assert "rank" not in mean


def test_what_was_measured_on_frames_is_weighted_by_their_tiles() -> None:
    """By hand: two of twenty tiles were shown of the first rank, four of four of the second."""
    rows = [
        row(0, loss=1.0, ssim=0.5, attention_bam_entropy=3.0, batch_size=20, samples=2),
        row(1, loss=2.0, ssim=0.8, attention_bam_entropy=6.0, batch_size=4, samples=4),
    ]
    mean = mean_over_ranks(rows)
    assert mean["loss"] == pytest.approx((20 * 1.0 + 4 * 2.0) / 24)
    assert mean["ssim"] == pytest.approx((2 * 0.5 + 4 * 0.8) / 6)
    assert mean["attention_bam_entropy"] == 5.0


@pytest.mark.parametrize(
    "name",
    [
        *("attention_bam_undefined", "activation_kan_flat", "tiles_without_nuclei"),
        *("nuclear_attention_undefined_bam", "attention_bam_low_contrast"),
    ],
)
def test_counts_of_tiles_are_added_up(name: str) -> None:
    mean = mean_over_ranks([row(0, **{name: 1.0}), row(1, **{name: 2.0}), row(2)])
    assert mean[name] == 3.0


@pytest.mark.parametrize("unknown", [math.nan, 0])
def test_ranks_count_evenly_where_a_size_is_not_known(unknown: float) -> None:
    rows = [row(0, loss=1.0, batch_size=unknown), row(1, loss=2.0)]
    assert mean_over_ranks(rows)["loss"] == 1.5


def test_a_batch_without_a_loss_of_its_own_takes_no_part() -> None:
    """As of tiles that another rank has already shown: its size is known, and 0."""
    rows = [row(0, loss=1.0), row(1, loss=4.0, batch_size=2), row(2, loss=math.nan, batch_size=0)]
    mean = mean_over_ranks(rows)
    assert (mean["loss"], mean["batch_size"]) == (2.0, 6)


def test_what_a_rank_does_not_say_is_left_out_of_the_mean() -> None:
    rows = [row(0, ssim=0.8, own=1.0), row(1, ssim=math.nan), row(2, ssim=math.inf)]
    mean = mean_over_ranks(rows)
    assert (mean["ssim"], mean["own"]) == (0.8, 1.0)


def test_what_no_rank_knows_is_undefined() -> None:
    assert math.isnan(mean_over_ranks([row(0, ssim=math.nan), row(1)])["ssim"])


def test_the_order_of_the_ranks_changes_no_bit() -> None:
    source = random.Random(3)
    rows = [row(rank, loss=source.uniform(-1, 1) * 10**rank) for rank in range(7)]
    means = []
    for _ in range(5):
        source.shuffle(rows)
        means.append(mean_over_ranks(rows)["loss"])
    assert len(set(means)) == 1


@pytest.mark.parametrize(("losses", "mean"), [((1e308, 1e308), 1e308), ((1e308, -1e308), 0.0)])
def test_the_largest_numbers_there_are_make_no_trouble(
    losses: tuple[float, float], mean: float
) -> None:
    rows = [row(rank, loss=loss, batch_size=4) for rank, loss in enumerate(losses)]
    assert mean_over_ranks(rows)["loss"] == mean


def test_what_one_rank_alone_knows_is_its_own_to_the_last_bit() -> None:
    rows = [row(0, ssim=0.7, samples=3), *(row(rank, samples=0) for rank in (1, 2))]
    assert mean_over_ranks(rows)["ssim"] == 0.7
