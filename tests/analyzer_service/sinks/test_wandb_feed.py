"""What is logged next, position by position."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.wandb_feed import ROWS_AT_ONCE, Entry, Position, next_portion
from tests.analyzer_service.sinks.runs import RunWriter, write_run

Keep = Callable[[RunWriter], RunWriter]


def feed(folder: Path, position: Position) -> tuple[list[list[Entry]], Position]:
    """Every portion after `position`, and where they end."""
    portions = []
    more = True
    with RunReader(folder) as reader:
        while more:
            portion = next_portion(reader, position)
            portions.append(portion.entries)
            position, more = portion.position, portion.more
    return portions, position


def values_of(portions: list[list[Entry]], key: str) -> list[Any]:
    return [e.values[key] for part in portions for e in part if key in e.values]


def test_everything_comes_once_and_in_order(run: RunWriter, folder: Path) -> None:
    run.dashboard("train", 20)

    portions, position = feed(folder, Position())

    steps = [e.values["train/global_step"] for e in portions[0] if "train/loss" in e.values]
    assert steps == list(range(1, 21))
    assert values_of(portions, "epoch/epoch") == [0, 1]
    assert [list(e.images) for e in portions[0] if e.images] == [["train/batch_visualization_20"]]
    assert (position.rows, position.images, position.release) == (24, 1, 24)
    assert feed(folder, position) == ([[]], position)


def test_only_what_is_new_comes_after_a_position(run: RunWriter, folder: Path) -> None:
    _, position = feed(folder, Position())
    run.batch(21, epoch=2)
    run.dashboard("val", 4, release=24)

    portions, _ = feed(folder, position)

    assert values_of(portions, "train/loss") == [portions[0][0].values["train/loss"]]
    assert [list(entry.images) for entry in portions[0]] == [[], ["val/batch_visualization_4"]]


def test_an_epoch_waits_for_its_rows(folder: Path, keep: Keep) -> None:
    keep(write_run(folder, epochs=1, batches=ROWS_AT_ONCE + 5, val_batches=0))

    portions, _ = feed(folder, Position())

    assert [len(part) for part in portions] == [ROWS_AT_ONCE, 5 + 1]
    assert values_of(portions, "epoch/train_batches") == [ROWS_AT_ONCE + 5]


def test_summary_keeps_first_last_and_best(run: RunWriter, folder: Path) -> None:
    _, position = feed(folder, Position())

    with RunReader(folder) as reader:
        losses = [row.values["loss"] for row in reader.rows(phase="train")]
    summary = position.summary
    assert summary["summary/train_batches"] == 20
    assert summary["summary/train_loss_first"] == losses[0]
    assert summary["summary/train_loss_last"] == losses[-1]
    assert summary["summary/train_loss_best"] == min(losses)


def test_a_position_is_kept_in_a_file(tmp_path: Path) -> None:
    position = Position(release=5, rows=5, summary={"a": 1.5}, directories=("wandb/x",))

    position.save(tmp_path / "position.json")

    assert Position.load(tmp_path / "position.json") == position


def test_an_unreadable_position_is_the_start(tmp_path: Path) -> None:
    path = tmp_path / "position.json"
    path.write_text('{"releases": "?"')

    assert Position.load(path) == Position()
    assert Position.load(tmp_path / "none.json") == Position()
