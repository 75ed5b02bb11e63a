"""What each sink, and whoever else reads a run of several ranks, shows of it."""

import json
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.compare.sides import read_side
from analyzer_service.export.tables import batch_table
from analyzer_service.html.run_charts import read_histories
from analyzer_service.own.summary import summary_of_run
from analyzer_service.page.listing.standing import read_standing
from analyzer_service.sinks.json_files import write_epoch, write_final
from analyzer_service.sinks.report_batches import read_batches
from analyzer_service.sinks.report_training import opening
from analyzer_service.sinks.wandb_feed import Position, next_portion
from tests.analyzer_service.sinks.runs import RunWriter

STEPS = range(1, 121)
MEANS = [step + 5.0 for step in STEPS]
"""By hand: rank 0 says the step, rank 1 ten more."""


@pytest.fixture
def ranks(tmp_path: Path) -> RunWriter:
    """Two ranks over 120 steps (more than one portion), and the first one's word on step 121."""
    run = RunWriter(tmp_path / "auto_analysis_demo", world_size=2)
    for step in STEPS:
        for rank in range(2):
            run.batch(step, rank=rank, framed=False, loss=float(step + 10 * rank), batch_size=4)
    run.batch(121, rank=0, framed=False, loss=1.0, batch_size=4)
    return run


@pytest.fixture
def ended(ranks: RunWriter) -> RunWriter:
    with ranks.store.transaction():
        ranks.released.end_step()
    ranks.end("failed", "rank1 was lost")
    return ranks


def test_wandb_gets_the_mean_and_each_rank_in_one_entry_a_step(ranks: RunWriter) -> None:
    with RunReader(ranks.folder) as reader:
        position, entries, more = Position(), [], True
        while more:
            portion = next_portion(reader, position)
            entries += portion.entries
            position, more = portion.position, portion.more
        assert [e.values["train/global_step"] for e in entries] == list(STEPS)
        assert [e.values["train/loss"] for e in entries] == MEANS
        assert entries[4].values["train/rank_0/loss"] == 5.0
        assert entries[4].values["train/rank_1/loss"] == 15.0
        assert "train/ranks" not in entries[4].values
        assert (position.rows, position.summary["summary/train_batches"]) == (120, 120)
        with ranks.store.transaction():
            ranks.released.end_step()
        ranks.end("failed", "rank1 was lost")
        last = next_portion(reader, position)
    assert [e.values["train/loss"] for e in last.entries] == [1.0]
    assert "train/rank_1/loss" not in last.entries[0].values
    ranks.close()


def test_wandb_gets_past_rows_of_a_rank_that_came_too_late_for_a_mean(ranks: RunWriter) -> None:
    for step in STEPS:
        ranks.batch(step, rank=2, framed=False, loss=0.0)
    with RunReader(ranks.folder) as reader:
        position, entries = Position(), []
        while (portion := next_portion(reader, position)).entries:
            entries += portion.entries
            position = portion.position
    assert [e.values["train/loss"] for e in entries if "train/loss" in e.values] == MEANS
    assert sum("train/rank_2/loss" in e.values for e in entries) >= len(STEPS) - 1
    ranks.close()


def test_the_final_file_has_the_rows_of_the_run_and_those_of_its_ranks(ended: RunWriter) -> None:
    written = json.loads(write_final(ended.folder, ended.release).read_text())
    assert [row["loss"] for row in written["batch_metrics"]] == [*MEANS, 1.0]
    assert [row["ranks"] for row in written["batch_metrics"]] == [2] * 120 + [1]
    assert [(row["global_step"], row["rank"]) for row in written["rank_metrics"]] == [
        *((step, rank) for step in STEPS for rank in (0, 1)),
        (121, 0),
    ]
    assert written["metadata"]["batches"] == {"train": 121, "val": 0}
    assert written["summary"]["train"]["loss"]["n"] == 121
    assert sum(epoch["batches"] for epoch in written["evolution"]) == 121
    ended.close()


def test_whoever_reads_the_run_sees_one_row_a_step(ended: RunWriter) -> None:
    folder, release = ended.folder, ended.release
    ended.close()
    with RunReader(folder) as reader:
        losses = reader.history(phase="train", upto=release, names=["loss"])["loss"]
        assert losses.tolist() == [*MEANS, 1.0]
        assert read_histories(reader, release).rows == {"train": 121, "val": 0}
        report = read_batches(reader, release, ())
        assert report.phases["train"].batches == 121
        words = opening(reader.started(), reader.state(), report)
        assert words.endswith(
            "It trained 121 batches in 13 epochs of 2 planned and validated 0 batches. "
            "A batch is that of 2 ranks together; its numbers are means over them."
        )
        exported = batch_table(reader)
        assert [column.name for column in exported.columns if "rank" in column.name] == ["ranks"]
        assert len(list(exported.rows)) == 121
        ranks = batch_table(reader, of="ranks")
        assert [column.name for column in ranks.columns if "rank" in column.name] == ["rank"]
        assert len(list(ranks.rows)) == 241
    summary = summary_of_run(folder)
    assert summary["batches"] == {"train": 121, "val": 0}
    assert summary["latest"]["train"]["loss"] == 1.0
    epoch = json.loads(write_epoch(folder, 0, release).read_text())
    last = read_side(folder)
    standing = read_standing(folder)
    assert standing is not None
    assert (standing.batches["train"], standing.loss) == (121, 1.0)
    assert epoch["summary"]["train"]["loss"]["n"] == 10, "ten steps an epoch"
    assert epoch["summary"]["train"]["loss"]["mean"] == pytest.approx(sum(MEANS[:10]) / 10)
    assert (last.epoch, last.moments("train", "loss").n) == (12, 1)
