"""The report: how the run ended first, numbers that can be checked, tables that line up."""

import math
import re
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.wording import number
from analyzer_service.sinks.json_files import write_epoch, write_final
from analyzer_service.sinks.report import write_report
from analyzer_service.workers import InlineWorkers
from shared.messages import RecordTotals
from tests.analyzer_service.pipeline.driving import SETTINGS, make_said, run_whole
from tests.analyzer_service.sinks.runs import RunWriter, repeat_rows, write_epoch_rows, write_run
from tests.builders import make_batch, make_run_ended

Keep = Callable[[RunWriter], RunWriter]


def report_of(run: RunWriter) -> str:
    return write_report(run.folder, run.release).read_text("utf-8")


def section(text: str, title: str) -> str:
    """Text below a heading of level 2."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def cells(text: str, first: str) -> list[str]:
    """Cells of the table row that begins with `first`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_first_lines_say_how_the_run_ended(run: RunWriter) -> None:
    lines = report_of(run).splitlines()

    assert lines[0] == "# Training report: demo"
    assert lines[2] == "The run **finished**."
    assert lines[4] == "It trained 20 batches in 2 epochs of 2 planned and validated 4 batches."


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("failed", "CUDA out of memory", "The run **failed**: `CUDA out of memory`."),
        ("interrupted", None, "The run was **interrupted**."),
        ("failed", "a `b`\n| c", "The run **failed**: `a 'b' | c`."),
    ],
)
def test_a_run_that_did_not_finish_says_why(
    folder: Path, keep: Keep, status: str, reason: str | None, expected: str
) -> None:
    run = keep(write_run(folder, epochs=1))
    run.end(status, reason)

    assert report_of(run).splitlines()[2] == expected


def test_training_summary_equals_the_rows(run: RunWriter, folder: Path) -> None:
    with RunReader(folder) as reader:
        losses = [row.values["loss"] for row in reader.rows(phase="train")]
        ssims = [row.values["ssim"] for row in reader.rows(phase="val")]
    text = section(report_of(run), "Training summary")

    train, val = cells(text, "Training"), cells(text, "Validation")
    best = int(np.argmin(losses)) + 1
    assert train[1:5] == [
        "20",
        "160",
        f"{number(losses[0])} → {number(losses[-1])}",
        f"{number(min(losses))} (batch {best})",
    ]
    assert val[5] == f"{number(ssims[0])} → {number(ssims[-1])}"
    assert cells(text, "1")[1] == number(float(np.mean(losses[10:])))


def test_attention_is_measured_over_tiles(run: RunWriter) -> None:
    """The entropy of tile i of step s is 3 (1 + 0.01 i + 0.001 s), as the run was written."""
    text = section(report_of(run), "Attention analysis")
    tiles = np.array([3 * (1 + 0.01 * i + 0.001 * s) for s in range(1, 21) for i in (0, 1)])
    epochs = [3 * np.mean([1 + 0.01 * i + 0.001 * s for s in part for i in (0, 1)])
              for part in ((1, 2), (3, 4))]  # fmt: skip

    line = cells(text.split("### `bam_16`")[0], "`attention_entropy`")

    assert line[1] == f"{number(tiles.mean())} ± {number(tiles.std(ddof=1), 2)}"
    assert line[3] == f"{number(epochs[0])} → {number(epochs[1])}"
    assert line[4:] == ["2–4 nats", "in"]
    assert cells(text.split("### `bam_16`")[0], "`attention_center_distance`")[5] == "**below**"
    assert "1 is the same place, 0 is unrelated): 0.200 ± 0 over 40 training tiles" in text
    assert "Training, 40 tiles" in text
    assert "Validation, 8 tiles" in text


def test_performance_equals_numpy(run: RunWriter, folder: Path) -> None:
    with RunReader(folder) as reader:
        rows = [row.values for row in reader.rows(phase="train")]
    times = [row["training_time_ms"] for row in rows]
    text = section(report_of(run), "Performance summary")

    median, high = np.quantile(times, [0.5, 0.95])
    assert cells(text, "Training step")[1:] == [f"{number(median)} ms", f"{number(high)} ms", "20"]
    assert cells(text, "Memory, first → last")[1] == "513 → 532 MiB"
    rate = 8 * len(rows) / (sum(times) / 1000)
    assert cells(text, "Throughput of the training steps")[1] == f"{number(rate)} tiles/s"


def test_books_and_drops_are_shown(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1))
    run.batch(11, epoch=1, framed=False)
    run.end()

    text = section(report_of(run), "Frames: what arrived")

    assert cells(text, "`rank0/train`")[1:] == ["11", "10", "1", "0", "yes"]
    assert cells(text, "`queue_full`")[1:3] == ["1", "`rank0/train`"]
    assert "No failure had to be contained." in text


def test_records_are_shown_as_the_trainer_and_the_store_count_them(
    folder: Path, keep: Keep
) -> None:
    run = keep(write_run(folder, epochs=1))
    run.cseq = 0
    for message in (run.started, make_batch(1), make_batch(2)):
        run.say(message)
    run.say(make_run_ended(records=RecordTotals(offered=3, committed=2, pending=1)))
    run.end()

    report = report_of(run)
    text = section(report, "Frames: what arrived")

    assert cells(text, "`rank0`")[1:] == ["4", "4", "0", "0", "yes"]
    assert "Something is missing" not in report


def test_records_that_were_lost_or_never_came_are_said_at_the_top(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1))
    run.cseq = 0
    run.say(run.started)
    run.say(make_batch(3), cseq=4)
    run.say(make_run_ended(records=RecordTotals(offered=6, committed=4, lost=2)))
    with run.store.transaction():
        run.store.count_failure("missing_records", "rank0: records 2..3 never came")
        run.store.count_failure("unexplained_frames", "rank0: train frames 2 to 3", count=2)
    run.end()

    report = report_of(run)
    text = section(report, "Frames: what arrived")

    assert cells(text, "`rank0`")[1:] == ["7", "3", "2", "2", "yes"]
    assert "**2 were lost by the trainer**" in text
    assert "**2 never came**" in text
    assert "**2 frames neither arrived nor were dropped by name**" in text
    assert report.splitlines()[6] == (
        "**Something is missing: 2 frames that neither arrived nor were dropped by name; 1 gaps in "
        "the records; 2 records that the trainer could not keep.** See the books below."
    )


def test_a_producer_that_said_nothing_of_its_records_has_no_numbers(
    folder: Path, keep: Keep
) -> None:
    run = keep(write_run(folder, epochs=1))
    run.cseq = 0
    run.say(run.started)
    run.say(make_run_ended())  # as version 1.0 says it
    run.end()

    text = section(report_of(run), "Frames: what arrived")

    assert cells(text, "`rank0`")[1:] == ["–", "2", "–", "0", "–"]


def test_books_that_do_not_balance_are_called_an_error(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1))
    run.books["train"].offered += 3
    run.batch(11, epoch=1)
    run.end()

    text = section(report_of(run), "Frames: what arrived")

    assert cells(text, "`rank0/train`")[5] == "**no**"
    assert "**The books do not balance**" in text
    assert "books that do not balance" in report_of(run).splitlines()[6]


def test_contained_failures_are_named(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1))
    with run.store.transaction():
        run.store.count_failure("analysis", "AnalysisError: took | longer than 30 s", count=2)
    run.end()

    line = cells(report_of(run), "frames whose analysis failed or ran past its time")

    assert line[1:] == ["2", r"`AnalysisError: took \| longer than 30 s`"]


def test_evidence_has_an_n_and_no_verdict(run: RunWriter) -> None:
    text = section(report_of(run), "Readiness indicators")

    assert cells(text, "SSIM, mean ± SD")[2:] == ["4 tiles", "≥ 0.8"]
    assert cells(text, "Tiles with entropy in the range, bam_384")[1:3] == ["100.0 %", "4 tiles"]
    assert cells(text, "Frames that arrived")[1:3] == ["100.0 %", "24 frames"]
    verdict = r"\b((?<!Forward )pass|passed|fail|failed|approved|ready)\b"
    assert not re.search(verdict, text, re.IGNORECASE)


def test_every_file_is_listed_with_its_size(run: RunWriter, folder: Path) -> None:
    dashboard = run.dashboard("train", 20)
    write_epoch(folder, 0, run.release)
    write_final(folder, run.release)
    (folder / "frames").mkdir()
    (folder / "frames" / "train_000001.npz").write_bytes(bytes(2048))
    (folder / "notes|.txt").write_text("mine")
    (folder / "health.jsonl").write_text("of this analyzer: a replay has none")

    text = section(report_of(run), "Files")

    assert cells(text, f"`{dashboard.name}`")[1] == f"{dashboard.stat().st_size} B"
    assert cells(text, "`frames/`")[1:] == [
        "2.0 KiB",
        "images and maps of detailed batches (1 file)",
    ]
    assert cells(text, r"`notes\|.txt`")[1:] == ["4 B", "other file"]
    for name in ("epoch_0_metrics.json", "final_training_metrics.json", "metrics.sqlite"):
        assert cells(text, f"`{name}`")[2] != "other file"
    assert cells(text, "`metrics.sqlite`")[1] == "–"
    assert cells(text, "`final_summary_report.md`")[1:] == ["–", "this report"]
    assert "health" not in text


def test_a_run_without_validation(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=1, val_batches=0))
    run.end()

    text = report_of(run)

    assert "There was no validation" in text
    assert "From the training tiles of the last epoch: 20 tiles" in text


def test_a_run_that_failed_before_its_first_batch(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    run.end("failed", "no data")

    text = report_of(run)

    assert "It trained 0 batches in 0 epochs" in text
    assert "No tile was analyzed, so nothing is known about attention." in text
    assert "No frames were offered" in text
    assert "nan" not in text.lower()


def test_undefined_numbers_are_shown_as_such(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    run.batch(1, loss=math.nan, part={"attention_bam_16_attention_entropy": math.nan})
    run.epoch(0, global_step=1)
    run.end()

    text = report_of(run)

    assert cells(section(text, "Training summary"), "Training")[3] == "undefined → undefined"
    layer = text.split("### `bam_16`")[1].split("###")[0]
    line = cells(layer, "`attention_entropy`")
    assert line[1:] == ["undefined", "undefined → undefined", "2–4 nats", "undefined"]


def test_a_resumed_run_counts_each_step_once(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=2))
    run.start(incarnation=2, resumed_from_step=10)
    write_epoch_rows(run, 1, batches=10, val_batches=2)
    run.end()

    text = report_of(run)

    assert "It trained 20 batches in 2 epochs" in text
    assert cells(text, "Resumed from step")[1] == "10"


def test_a_long_run_shows_some_of_its_epochs(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, epochs=200, batches=1, val_batches=0))
    run.end()

    text = section(report_of(run), "Training summary")

    shown = [int(found) for found in re.findall(r"^\| (\d+) ", text, re.MULTILINE)]
    assert len(shown) == 30
    assert (shown[0], shown[-1]) == (0, 199)


def test_tables_are_tables_and_line_up(run: RunWriter) -> None:
    """Read by markdown-it (CommonMark with tables), and as plain text."""
    text = report_of(run)

    html = MarkdownIt("commonmark").enable("table").render(text)
    groups = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert html.count("<table>") == len(groups) >= 9
    assert "|" not in re.sub(r"<[^>]+>", "", html).replace(r"\|", "")
    for group in groups:
        assert len({len(line) for line in group.splitlines()}) == 1, group
    assert "\n\n\n" not in text


def test_the_same_run_gives_the_same_report(run: RunWriter) -> None:
    assert report_of(run) == report_of(run)


def test_temporal_consistency_stands_in_the_layers_table(tmp_path: Path) -> None:
    analyze, stubs = "analyzer_service.analyses.frame:analyze_frame", SETTINGS.calls
    calls = replace(stubs, analyze=analyze, report="analyzer_service.sinks.report:write_report")
    with closing(InlineWorkers()) as workers:
        folder = run_whole(
            tmp_path, workers, make_said(epochs=3), settings=replace(SETTINGS, calls=calls)
        )
    with RunReader(folder) as reader:
        name = "attention_bam_384_temporal_consistency"
        tiles = [row.values[name] for row in reader.sample_values(phase="val")]
    known = np.array(tiles[4:])  # two batches of two tiles an epoch; the first has no earlier one
    text = section((folder / "final_summary_report.md").read_text("utf-8"), "Attention analysis")

    row = cells(text.split("### `bam_16`")[0], "`temporal_consistency`")
    assert row[1] == "–"
    assert row[2] == f"{number(known.mean())} ± {number(known.std(ddof=1), 2)}"
    assert row[3] == f"undefined → {number(np.array(tiles[8:]).mean())}"
    assert "`temporal_consistency` – Temporal consistency, from the second" in text


def test_a_long_run_takes_no_more_memory(tmp_path: Path, keep: Keep) -> None:
    peaks = []
    for times in (20, 20, 200):  # the first one loads what is loaded once
        run = keep(RunWriter(tmp_path / f"{len(peaks)}"))
        for step in range(1, 101):
            run.batch(step, epoch=0, batch_idx=step, framed=False)
        repeat_rows(run, times=times)
        tracemalloc.start()
        text = write_report(run.folder, 100 * times).read_text("utf-8")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert "It trained 20,000 batches" in text
    assert peaks[2] < peaks[1] + 1.2e6, "18,000 rows more, 2.4 MB of numbers alone"
