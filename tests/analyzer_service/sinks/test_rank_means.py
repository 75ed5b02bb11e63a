"""The run's own numbers, of those of its ranks."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.views import Row
from analyzer_service.sinks.json_files import write_final
from analyzer_service.sinks.rank_means import mean_over_ranks, whole_steps
from analyzer_service.sinks.wandb_feed import Position, next_portion
from tests.analyzer_service.sinks.runs import RunWriter


def row(rank: int = 0, step: int = 5, **values: Any) -> dict[str, Any]:
    place = {"phase": "train", "epoch": 0, "batch_idx": 4, "global_step": step, "phase_step": step}
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


@pytest.mark.parametrize("unknown", [None, math.nan, 0])
def test_ranks_count_evenly_where_a_size_is_not_known(unknown: float | None) -> None:
    mean = mean_over_ranks([row(0, loss=1.0, batch_size=unknown), row(1, loss=2.0)])
    assert (mean["loss"], mean["batch_size"]) == (1.5, None)


def test_what_a_rank_does_not_say_is_left_out_of_the_mean() -> None:
    rows = [row(0, ssim=0.8, own=1.0), row(1, ssim=math.nan), row(2, ssim=math.inf)]
    mean = mean_over_ranks(rows)
    assert (mean["ssim"], mean["own"]) == (0.8, 1.0)


def test_what_no_rank_knows_is_undefined() -> None:
    assert math.isnan(mean_over_ranks([row(0, ssim=math.nan), row(1, ssim=None)])["ssim"])


def test_the_order_of_the_ranks_changes_no_bit() -> None:
    source = random.Random(3)
    rows = [row(rank, loss=source.uniform(-1, 1) * 10**rank) for rank in range(7)]
    means = []
    for _ in range(5):
        source.shuffle(rows)
        means.append(mean_over_ranks(rows)["loss"])
    assert len(set(means)) == 1


@pytest.mark.parametrize(("ended", "steps"), [(False, [2, 2]), (True, [2, 2, 1])])
def test_the_last_step_waits_for_all_of_its_ranks(ended: bool, steps: list[int]) -> None:
    places = [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]
    rows = [Row(i, row(rank, step)) for i, (rank, step) in enumerate(places, start=1)]
    assert [len(step) for step in whole_steps(rows, ranks=2, ended=ended)] == steps


def test_a_step_that_lacks_a_rank_is_whole_once_another_one_follows() -> None:
    places = [(0, 1), (0, 2), (1, 2)]
    rows = [Row(i, row(rank, step)) for i, (rank, step) in enumerate(places, start=1)]
    assert [len(step) for step in whole_steps(rows, ranks=2, ended=False)] == [1, 2]


@pytest.fixture
def ranks(tmp_path: Path) -> RunWriter:
    """Two ranks over 120 steps (more than one portion), and the first one's word on step 121."""
    run = RunWriter(tmp_path / "auto_analysis_demo", world_size=2)
    for step in range(1, 121):
        for rank in range(2):
            run.batch(step, rank=rank, framed=False, loss=float(step + 10 * rank), batch_size=4)
    run.batch(121, rank=0, framed=False, loss=1.0, batch_size=4)
    return run


def test_wandb_gets_the_mean_and_each_rank_in_one_entry_a_step(ranks: RunWriter) -> None:
    with RunReader(ranks.folder) as reader:
        position, entries, more = Position(), [], True
        while more:
            portion = next_portion(reader, position)
            entries += portion.entries
            position, more = portion.position, portion.more
        assert [e.values["train/global_step"] for e in entries] == list(range(1, 121))
        assert [e.values["train/loss"] for e in entries] == [step + 5.0 for step in range(1, 121)]
        assert entries[4].values["train/rank_0/loss"] == 5.0
        assert entries[4].values["train/rank_1/loss"] == 15.0
        assert (position.rows, position.summary["summary/train_batches"]) == (240, 120)
        ranks.end("failed", "rank1 was lost")
        last = next_portion(reader, position)
    assert [e.values["train/loss"] for e in last.entries] == [1.0]
    assert "train/rank_1/loss" not in last.entries[0].values
    ranks.close()


def test_the_final_file_has_the_rows_of_all_ranks_and_the_steps_of_the_run(
    ranks: RunWriter,
) -> None:
    written = json.loads(write_final(ranks.folder, ranks.release).read_text())
    assert len(written["batch_metrics"]) == 241
    assert [step["loss"] for step in written["steps"]] == [*(s + 5.0 for s in range(1, 121)), 1.0]
    assert [step["ranks"] for step in written["steps"]] == [2] * 120 + [1]
    ranks.close()
