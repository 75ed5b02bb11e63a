"""The JSON files: strict, complete, the same every time, in bounded memory."""

import json
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analyzer_service.sinks.json_files import write_epoch, write_final
from tests.analyzer_service.sinks.runs import RunWriter, repeat_rows, write_epoch_rows, write_run

Keep = Callable[[RunWriter], RunWriter]


def load(path: Path) -> Any:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def frame_of(rows: list[dict[str, Any]], phase: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame[frame["phase"] == phase]


def test_final_file_holds_every_batch_in_order(run: RunWriter, folder: Path) -> None:
    path = write_final(folder, run.release)

    data = load(path)
    assert path.name == "final_training_metrics.json"
    assert list(data) == ["batch_metrics", "summary", "evolution", "alerts", "metadata"]
    keys = [(row["phase"], row["phase_step"]) for row in data["batch_metrics"]]
    assert keys == [
        *(("train", i) for i in range(1, 11)),
        *(("val", i) for i in (1, 2)),
        *(("train", i) for i in range(11, 21)),
        *(("val", i) for i in (3, 4)),
    ]
    assert list(data["batch_metrics"][0])[:8] == [
        "phase",
        "epoch",
        "batch_idx",
        "global_step",
        "phase_step",
        "rank",
        "timestamp",
        "loss",
    ]


def test_whole_numbers_are_whole(run: RunWriter, folder: Path) -> None:
    row = load(write_final(folder, run.release))["batch_metrics"][3]

    for name in ("epoch", "batch_idx", "global_step", "phase_step", "rank", "batch_size"):
        assert type(row[name]) is int, name


def test_summary_equals_pandas(run: RunWriter, folder: Path) -> None:
    data = load(write_final(folder, run.release))

    for phase in ("train", "val"):
        frame = frame_of(data["batch_metrics"], phase)
        for name in ("loss", "ssim", "attention_bam_384_attention_entropy", "memory_mb", "lr"):
            found, column = data["summary"][phase][name], frame[name]
            assert found["n"] == len(column)
            assert found["undefined"] == 0
            expected = [column.mean(), column.std(), column.min(), column.max()]
            values = [found[key] for key in ("mean", "std", "min", "max")]
            assert values == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_evolution_holds_the_means_of_each_epoch(run: RunWriter, folder: Path) -> None:
    data = load(write_final(folder, run.release))

    means = pd.DataFrame(data["batch_metrics"]).groupby(["epoch", "phase"])["ssim"].mean()
    found = {(part["epoch"], part["phase"]): part["ssim"] for part in data["evolution"]}
    assert found == pytest.approx(means.to_dict())
    assert [part["batches"] for part in data["evolution"]] == [10, 2, 10, 2]


def test_undefined_is_null_and_counted(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    run.batch(1, loss=math.nan)
    run.batch(2, loss=math.inf, memory_mb=None)
    run.batch(3, framed=False)
    run.end()

    data = load(write_final(folder, run.release))

    rows, summary = data["batch_metrics"], data["summary"]["train"]
    assert [rows[i]["loss"] for i in (0, 1)] == [None, None]
    assert rows[1]["memory_mb"] is None
    assert rows[2]["ssim"] is None
    assert rows[2]["samples"] == 0
    assert (summary["loss"]["n"], summary["loss"]["undefined"]) == (1, 2)
    assert summary["loss"]["std"] is None
    assert pd.DataFrame(rows)["loss"].isna().sum() == 2


def test_an_infinite_or_odd_configuration_stays_json(folder: Path, keep: Keep) -> None:
    config = {"lr": math.inf, "betas": (0.9, math.nan), "name": 'quo"te é', "nested": {"a": None}}
    run = keep(RunWriter(folder, config=config))
    run.end()

    data = load(write_final(folder, run.release))

    assert data["batch_metrics"] == []
    assert data["metadata"]["config"] == {
        "lr": None,
        "betas": [0.9, None],
        "name": 'quo"te é',
        "nested": {"a": None},
    }


def test_metadata_is_what_the_run_said(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1, device="cuda:0 (H200)"))
    run.end("failed", "CUDA out of memory")

    metadata = load(write_final(folder, run.release))["metadata"]

    assert metadata["device"] == "cuda:0 (H200)"
    assert metadata["started_at"] == "2025-10-09T08:53:20.000Z"
    assert metadata["ended_at"] == "2025-10-09T09:10:00.000Z"
    assert (metadata["status"], metadata["reason"]) == ("failed", "CUDA out of memory")
    assert metadata["layers"][0] == {"name": "bam_384", "kind": "attention"}
    assert metadata["config"]["batch_size"] == 8
    assert metadata["schema_version"] == "1.1"
    assert metadata["batches"] == {"train": 10, "val": 2}


def test_rows_beyond_the_release_are_left_out(run: RunWriter, folder: Path) -> None:
    data = load(write_final(folder, 5))

    assert len(data["batch_metrics"]) == 5
    assert data["summary"]["train"]["loss"]["n"] == 5
    assert data["summary"]["val"] == {}


def test_same_run_in_another_place_gives_the_same_bytes(tmp_path: Path, keep: Keep) -> None:
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name / "auto_analysis_demo"
        run = keep(write_run(folder))
        run.end()
        paths = [write_final(folder, run.release), write_epoch(folder, 0, 12)]
        written.append([path.read_bytes() for path in paths])

    assert written[0] == written[1]
    assert str(tmp_path).encode() not in b"".join(written[0])


def test_epoch_file_has_batches_and_tiles_of_its_epoch(run: RunWriter, folder: Path) -> None:
    path = write_epoch(folder, 1, run.release)

    data, rows = load(path), load(write_final(folder, run.release))["batch_metrics"]
    assert path.name == "epoch_1_metrics.json"
    assert list(data) == ["epoch", "summary", "samples", "metadata"]
    frame = frame_of([row for row in rows if row["epoch"] == 1], "train")
    assert data["summary"]["train"]["ssim"]["mean"] == pytest.approx(frame["ssim"].mean())
    assert data["summary"]["train"]["ssim"]["n"] == 10
    assert data["samples"]["val"]["ssim"]["n"] == 4
    assert data["metadata"]["global_step"] == 20


def test_tile_statistics_equal_numpy_and_scipy(run: RunWriter, folder: Path) -> None:
    """Values of tile i of step s are 1 - exp(-s / 10) / 2 - 0.01 i, as the run was written."""
    tiles = pd.Series([1 - math.exp(-s / 10) / 2 - 0.01 * i for s in range(1, 11) for i in (0, 1)])

    found = load(write_epoch(folder, 0, run.release))["samples"]["train"]["ssim"]

    assert found == pytest.approx(
        {
            "n": 20,
            "mean": tiles.mean(),
            "median": tiles.median(),
            "sd": tiles.std(),
            "iqr": tiles.quantile(0.75) - tiles.quantile(0.25),
            "undefined": 0,
        }
    )


def test_undefined_tiles_are_counted(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    run.batch(1)
    run.batch(2, part={"attention_bam_16_attention_entropy": math.nan})
    run.epoch(0, global_step=2)

    samples = load(write_epoch(folder, 0, run.release))["samples"]["train"]

    found = samples["attention_bam_16_attention_entropy"]
    assert (found["n"], found["undefined"]) == (2, 2)


def test_epoch_without_validation(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1, val_batches=0))

    data = load(write_epoch(folder, 0, run.release))

    assert data["summary"]["val"] == {}
    assert data["samples"]["val"] == {}
    assert data["summary"]["train"]["loss"]["n"] == 10


def test_resumed_run_leaves_superseded_rows_out(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=2))
    first_epoch = write_epoch(folder, 0, 12).read_bytes()
    run.start(incarnation=2, resumed_from_step=10, started_at_ns=1_770_000_000_000_000_000)
    write_epoch_rows(run, 1, batches=10, val_batches=2)
    run.end()

    data = load(write_final(folder, run.release))

    train = [row["global_step"] for row in data["batch_metrics"] if row["phase"] == "train"]
    assert train == list(range(1, 21))
    starts = data["metadata"]["incarnations"]
    assert [start["resumed_from_step"] for start in starts] == [None, 10]
    # The first epoch ended before the resume, which therefore changes nothing in its file.
    assert write_epoch(folder, 0, 12).read_bytes() == first_epoch


def test_memory_does_not_grow_with_the_run(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    run.store.connection.execute("PRAGMA synchronous = OFF")
    for number in range(1, 501):
        run.batch(number, epoch=0, batch_idx=number - 1, framed=False)
    small = _peak(folder, run.release)
    repeat_rows(run, times=40)

    large = _peak(folder, run.release * 40)

    rows = load(folder / "final_training_metrics.json")["batch_metrics"]
    assert len(rows) == 20_000
    assert large < small + 1_000_000


def _peak(folder: Path, release: int) -> int:
    tracemalloc.start()
    try:
        write_final(folder, release)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
