"""Own analyses beside a run: rows, failures, and what becomes of everything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.own.source import OwnSource
from analyzer_service.pipeline import Calls, Origin, PipelineSettings
from analyzer_service.sinks.report import write_report
from analyzer_service.workers import PoolWorkers
from tests.analyzer_service.own.sources import GOOD, checked
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    make_said,
    open_run,
    rows_of,
    run_whole,
)
from tests.builders import (
    make_batch,
    make_drop,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
)

pytestmark = pytest.mark.process

# Long enough for a worker that is started again, and imports everything, on a busy machine.
LIMIT_S = 8.0


def failing(steps: tuple[int, ...], how: str) -> str:
    return f"        if phase == 'train' and step in {steps}: {how}\n" + GOOD


@contextmanager
def workers_of(size: int) -> Iterator[PoolWorkers]:
    workers = PoolWorkers(size)
    try:
        yield workers
    finally:
        workers.close()


@pytest.fixture
def pool() -> Iterator[PoolWorkers]:
    with workers_of(2) as workers:
        yield workers


def settings_with(source: OwnSource, **changes: Any) -> PipelineSettings:
    return replace(SETTINGS, own=source, own_timeout_s=LIMIT_S, **changes)


def analyzed(output: Path, pool: PoolWorkers, source: OwnSource, said: Said | None = None) -> Path:
    return run_whole(output, pool, said or make_said(), settings=settings_with(source))


def without_own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith("own_")} for row in rows]


def failures_of(folder: Path) -> dict[str, tuple[int, str]]:
    with RunReader(folder) as reader:
        return {kind: (f.count, f.last) for kind, f in reader.state().failures.items()}


def steps_with_own(folder: Path, phase: str = "train") -> list[int]:
    return [
        row["phase_step"] for row in rows_of(folder) if row["phase"] == phase and "own_loss" in row
    ]


def test_each_row_has_the_own_numbers_and_the_built_in_ones(
    tmp_path: Path, pool: PoolWorkers
) -> None:
    folder = analyzed(tmp_path / "own", pool, checked(tmp_path))
    rows = rows_of(folder)
    assert len(rows) == 24
    for row in rows:
        if not row["samples"]:  # the built-in analysis failed
            assert "own_loss" not in row
            continue
        frame = make_frame(row["phase_step"], phase=row["phase"])
        assert row["own_loss"] == 2 * row["loss"]
        assert row["own_step"] == row["phase_step"]
        if row["phase"] == "train":
            assert row["own_brightness"] == frame.input.mean()
    plain = rows_of(run_whole(tmp_path / "plain", pool, make_said()))
    assert str(without_own(rows)) == str(plain)
    assert set(failures_of(folder)) == {"analysis"}


def test_a_run_without_validation_is_reported(tmp_path: Path, pool: PoolWorkers) -> None:
    run = make_said(epochs=1)
    records = [each for each in run.records if getattr(each, "phase", "train") == "train"]
    frames = [each for each in run.frames if each.phase == "train"]
    said = replace(run, records=records, frames=frames)
    folder = analyzed(tmp_path / "own", pool, checked(tmp_path), said)
    report = write_report(folder, release=10).read_text("utf-8")
    phases = [line.split("|")[2].strip() for line in report.splitlines() if "`own_loss`" in line]
    assert phases == ["train"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise KeyError('stroma')", "KeyError: 'stroma' (mine.py, line 9)"),
        ("return [1.0]", "AnalysisError: expected a mapping of names to numbers, got a value"),
        ("return {'x': 1j}", "AnalysisError: 'x': expected a real number"),
        ("return {'x': np.zeros(10**6)}", "ndarray of shape (1000000,)"),
        ("return {str(i): 0 for i in range(1000)}", "at most 256 numbers"),
        ("sys.exit(1)", "SystemExit: 1 (mine.py, line 9)"),
        ("os._exit(7)", "WorkerDiedError: worker process died with exit code 7"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "worker process died by signal 11"),
        ("time.sleep(3600)", f"TimeoutError: ran for more than {LIMIT_S} s"),
        ("math.factorial(10**9)", f"TimeoutError: ran for more than {LIMIT_S} s"),
    ],
)
def test_a_failure_costs_its_own_numbers_only(
    how: str, said: str, tmp_path: Path, pool: PoolWorkers
) -> None:
    steps = (5,) if "TimeoutError" in said else (3, 5)
    source = checked(tmp_path, failing(steps, how))
    run = make_said(epochs=1)
    folder = analyzed(tmp_path / "own", pool, source, run)
    assert steps_with_own(folder) == [step for step in range(1, 11) if step not in steps]
    assert str(without_own(rows_of(folder))) == str(rows_of(run_whole(tmp_path / "p", pool, run)))
    (count, last) = failures_of(folder)["own_analysis"]
    assert count == len(steps)
    assert "mine:Mine: train batch 5: " in last
    assert said in last
    assert set(failures_of(folder)) == {"own_analysis"}
    with RunReader(folder) as reader:
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (10, 10, 0, 0)


def test_what_it_does_to_its_process_changes_no_built_in_number(
    tmp_path: Path, pool: PoolWorkers
) -> None:
    body = """
        import warnings, analyzer_service.analyses.frame as frames
        np.seterr(all="raise")
        warnings.simplefilter("error")
        np.mean = lambda *given, **more: 1 / 0
        frames.analyze_frame = frames.mse = None
        os.chdir("/")
        return {"x": 1}
"""
    run, real = make_said(epochs=1), replace(SETTINGS, calls=Calls())
    own = replace(real, own=checked(tmp_path, body), own_timeout_s=LIMIT_S)
    rows = rows_of(run_whole(tmp_path / "own", pool, run, settings=own))
    assert all(row["own_x"] == 1 for row in rows)
    plain = rows_of(run_whole(tmp_path / "plain", pool, run, settings=real))
    assert str(without_own(rows)) == str(plain)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_three_failures_in_a_row_switch_it_off_at_the_same_row(size: int, tmp_path: Path) -> None:
    """Later batches are quicker than the failing ones, so they are done before it is known."""
    how = "time.sleep(0.3); raise ValueError('no')"
    source = checked(tmp_path, failing((2, 4, 5, 7, 8, 9), how))
    with workers_of(size) as workers:
        folder = analyzed(tmp_path / "own", workers, source)
    assert steps_with_own(folder) == [1, 3, 6]
    assert steps_with_own(folder, "val") == []
    assert len(rows_of(folder)) == 24
    found = failures_of(folder)
    assert found["own_analysis"] == (
        6,
        "mine:Mine: train batch 9: ValueError: no (mine.py, line 9)",
    )
    said = "mine:Mine is switched off after 3 failures in a row, at train batch 9"
    assert found["own_off"] == (1, said)


def test_what_is_switched_off_is_not_called_any_more(tmp_path: Path, pool: PoolWorkers) -> None:
    calls = tmp_path / "calls"
    body = f"        open({str(calls)!r}, 'a').write('x')\n        raise ValueError('never')\n"
    said = make_said(epochs=1)
    pipeline = open_run(
        tmp_path / "own",
        pool,
        started=said.started,
        settings=settings_with(checked(tmp_path, body), end_grace_s=60.0),
    )
    feed_records(pipeline, said.records[:5])
    feed_frames(pipeline, [make_frame(step) for step in (1, 2, 3, 4)])
    drain(pipeline)
    before = len(calls.read_text())
    feed_records(pipeline, said.records[5:], first=6)
    feed_frames(pipeline, said.frames[4:])
    drain(pipeline)
    pipeline.close()
    assert 3 <= before <= 4
    assert len(calls.read_text()) == before


def test_frames_before_and_after_their_records_give_the_same(
    tmp_path: Path, pool: PoolWorkers
) -> None:
    source, said = checked(tmp_path), make_said(epochs=1)
    pipeline = open_run(tmp_path / "a", pool, started=said.started, settings=settings_with(source))
    feed_frames(pipeline, reversed(said.frames))
    deadline = 200
    while pipeline.frames_waiting and deadline and not pipeline.held_bytes:
        pipeline.commit()
        deadline -= 1
    feed_records(pipeline, said.records)
    drain(pipeline)
    pipeline.close()
    assert str(rows_of(pipeline.folder)) == str(
        rows_of(analyzed(tmp_path / "b", pool, source, said))
    )


def test_a_frame_that_no_batch_names_does_not_hold_the_run_up(
    tmp_path: Path, pool: PoolWorkers
) -> None:
    said = make_said(epochs=1)
    records = [r for r in said.records if getattr(r, "phase_step", None) != 4]
    folder = analyzed(tmp_path / "own", pool, checked(tmp_path), replace(said, records=records))
    assert steps_with_own(folder) == [1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_a_dropped_frame_has_no_own_numbers(tmp_path: Path, pool: PoolWorkers) -> None:
    records = [
        make_said().started,
        make_batch(1),
        make_batch(2, frame=None),
        make_epoch_ended(0),
        make_run_ended(),
    ]
    said = replace(make_said(), records=records, frames=[make_frame(1)])
    folder = analyzed(tmp_path / "own", pool, checked(tmp_path), said)
    assert steps_with_own(folder) == [1]


def test_an_analyzer_that_comes_back_goes_on_counting(tmp_path: Path, pool: PoolWorkers) -> None:
    source = checked(tmp_path, failing((3, 4, 5), "raise ValueError('no')"))
    said, settings = make_said(epochs=1), settings_with(source)
    first = open_run(tmp_path / "own", pool, started=said.started, settings=settings)
    feed_records(first, said.records[:5])
    feed_frames(first, said.frames[:4])
    drain(first)
    first.close()
    again = open_run(tmp_path / "own", pool, started=said.started, settings=settings)
    feed_records(again, said.records)
    feed_frames(again, said.frames)
    drain(again)
    again.close()
    assert steps_with_own(again.folder) == [1, 2]
    assert failures_of(again.folder)["own_off"][0] == 1


def test_a_mended_source_gets_another_chance_and_both_are_noted(tmp_path: Path) -> None:
    said = make_said(epochs=1)
    sources = []
    for body, upto in (("        raise ValueError('never')\n", 4), (GOOD, 12)):
        sources.append(checked(tmp_path, body))
        with workers_of(2) as workers:
            settings = settings_with(sources[-1])
            pipeline = open_run(tmp_path / "own", workers, started=said.started, settings=settings)
            feed_records(pipeline, said.records[: 5 if upto == 4 else None])
            feed_frames(pipeline, said.frames[:upto])
            drain(pipeline)
            pipeline.close()
    assert steps_with_own(pipeline.folder) == [5, 6, 7, 8, 9, 10]
    with RunReader(pipeline.folder) as reader:
        noted = [source.sha256 for source in reader.own_analyzers()]
    assert noted == [source.sha256 for source in sources]


def test_a_resume_takes_failures_back_with_their_rows(tmp_path: Path, pool: PoolWorkers) -> None:
    """Switched off at batch 5, of which the second start takes back all beyond batch 4."""
    mended = tmp_path / "mended"
    how = f"\n            if not os.path.exists({str(mended)!r}): raise ValueError('no')"
    body = failing((3, 4, 5), how)
    said, settings = make_said(epochs=1), settings_with(checked(tmp_path, body))
    pipeline = open_run(tmp_path / "own", pool, started=said.started, settings=settings)
    feed_records(pipeline, said.records[:9])
    feed_frames(pipeline, said.frames[:8])
    drain(pipeline)
    assert steps_with_own(pipeline.folder) == [1, 2]
    mended.touch()
    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=4)
    feed_records(pipeline, [again, *said.records[5:]], origin=Origin("rank0", 2))
    feed_frames(pipeline, said.frames[4:], origin=Origin("rank0", 2))
    drain(pipeline)
    pipeline.close()
    assert steps_with_own(pipeline.folder) == [1, 2, 5, 6, 7, 8, 9, 10]
    with RunReader(pipeline.folder) as reader:
        assert sum(1 for row in reader.rows(phase="train")) == 10


def test_a_rebuild_counts_again(tmp_path: Path, pool: PoolWorkers) -> None:
    """Of four failing batches one frame came late: with it there are three in a row."""
    source = checked(tmp_path, failing((3, 4, 5), "raise ValueError('no')"))
    said = make_said(epochs=1)
    settings = settings_with(source, accept_late_frames=True)
    pipeline = open_run(tmp_path / "own", pool, started=said.started, settings=settings)
    drop = make_drop(4)
    records = [*said.records[:5], drop, *said.records[5:]]
    feed_records(pipeline, records)
    feed_frames(pipeline, said.without(4).frames)
    drain(pipeline)
    assert steps_with_own(pipeline.folder) == [1, 2, 6, 7, 8, 9, 10]
    assert failures_of(pipeline.folder)["own_analysis"][0] == 2
    feed_frames(pipeline, [make_frame(4)])
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    pipeline.close()
    assert steps_with_own(pipeline.folder) == [1, 2]
    assert failures_of(pipeline.folder)["own_analysis"][0] == 3


def test_each_rank_has_a_row_of_failures_of_its_own(tmp_path: Path, pool: PoolWorkers) -> None:
    body = "        if batch_metrics['rank'] == 1: raise ValueError('no')\n" + GOOD
    pipeline = open_run(tmp_path / "own", pool, settings=settings_with(checked(tmp_path, body)))
    for rank in (0, 1):
        origin = Origin(f"rank{rank}", 1)
        started = make_run_started(producer=origin.producer, world_size=2, analysis_freq=100)
        batches = [make_batch(step, rank=rank) for step in range(1, 7)]
        feed_records(pipeline, [started, *batches, make_run_ended()], origin=origin)
        frames = [make_frame(step, rank=rank) for step in range(1, 7)]
        feed_frames(pipeline, frames, origin=origin)
    drain(pipeline)
    pipeline.close()
    has_own = {(row["rank"], "own_loss" in row) for row in rows_of(pipeline.folder, "ranks")}
    assert has_own == {(0, True), (1, False)}
    found = failures_of(pipeline.folder)
    assert found["own_analysis"][0] == 3
    assert "at train batch 3 of rank 1" in found["own_off"][1]


def test_a_source_that_changes_under_the_analyzer_is_named(tmp_path: Path) -> None:
    source = checked(tmp_path)
    checked(tmp_path, GOOD + "# another\n")
    with workers_of(1) as workers:
        folder = analyzed(tmp_path / "own", workers, source, make_said(epochs=1))
    assert "mine:Mine has changed since" in failures_of(folder)["own_analysis"][1]
    assert steps_with_own(folder) == []
