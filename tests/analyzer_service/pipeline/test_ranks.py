"""Several ranks of one run: the order of their rows, ranks that are late, lost, or never come."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Origin, PipelineSettings, RunPipeline
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import CriticalMessage, Totals
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    open_run,
    rows_of,
)
from tests.builders import make_batch, make_run_ended, make_run_started


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


PATIENT = replace(SETTINGS, join_grace_s=60.0)


def said_by(rank: int, *, ranks: int = 2, frames: bool = True) -> Said:
    """A run as one of its ranks says it; each rank has its own losses."""
    said = make_said(producer=f"rank{rank}", world_size=ranks)
    records = []
    for record in said.records:
        changes = {"rank": rank} if hasattr(record, "rank") else {}
        if hasattr(record, "loss"):
            changes |= {"loss": record.loss + rank}
            changes |= {} if frames else {"frame": None}
        records.append(record.model_copy(update=changes))
    shown = [frame.model_copy(update={"rank": rank}) for frame in said.frames] if frames else []
    return Said(Origin(f"rank{rank}", 1), said.started, records, shown)


def feed(pipeline: RunPipeline, said: Said, *, upto: int | None = None) -> None:
    feed_records(pipeline, said.records[:upto], origin=said.origin)
    feed_frames(pipeline, said.frames[:upto], origin=said.origin)


def places(folder: Path) -> list[tuple[str, int, int]]:
    return [(row["phase"], row["phase_step"], row["rank"]) for row in rows_of(folder, "ranks")]


def expect_a_row_each_step(folder: Path, *, phases: Sequence[str] = ("train", "val")) -> None:
    """The run's own rows are one for each step that any rank has, a mean over those that have it.

    Numbered without a gap, in the order of the steps; the rollups hold them and nothing else.
    """
    steps = defaultdict(list)
    for row in rows_of(folder, "ranks"):
        steps[row["phase"], row["phase_step"]].append(row["loss"])
    own = rows_of(folder)
    assert [(row["phase"], row["phase_step"]) for row in own] == list(steps)
    assert [row["ranks"] for row in own] == [len(losses) for losses in steps.values()]
    means = [fmean(losses) for losses in steps.values()]
    assert [row["loss"] for row in own] == pytest.approx(means, rel=1e-12)
    with RunReader(folder) as reader:
        for phase in phases:
            wanted = [row for row in own if row["phase"] == phase]
            count = reader.count(phase, upto=reader.state().released)
            drawn = reader.history(phase=phase, upto=reader.state().released, names=["loss"])
            latest = reader.latest(phase)
            assert count == len(wanted)
            assert drawn["loss"].tolist() == [row["loss"] for row in wanted]
            assert drawn["global_step"].tolist() == [row["global_step"] for row in wanted]
            assert latest is not None
            assert (latest.rows, latest.loss) == (count, wanted[-1]["loss"])
            rollups = reader.rollups(phase, ["loss"])
            assert rollups.read(3, 0, 9).means[0, 0] == pytest.approx(
                fmean(row["loss"] for row in wanted[:8]), rel=1e-12
            )


def expected(ranks: int) -> list[tuple[str, int, int]]:
    """By hand: ten training batches and two of validation an epoch, every rank at each."""
    steps = [("train", step) for step in range(1, 11)] + [("val", 1), ("val", 2)]
    steps += [("train", step) for step in range(11, 21)] + [("val", 3), ("val", 4)]
    return [(phase, step, rank) for phase, step in steps for rank in range(ranks)]


def run_ranks(
    output: Path, workers: Workers, order: list[int], *, frames: str, settings: PipelineSettings
) -> Path:
    """Folder of a run of three ranks, each of which says everything before the next one speaks."""
    ranks = [said_by(rank, ranks=3, frames=frames == "all" or rank == 0) for rank in range(3)]
    pipeline = open_run(output, workers, started=ranks[order[0]].started, settings=settings)
    for rank in order:
        feed(pipeline, ranks[rank])
        pipeline.commit()
    drain(pipeline)
    assert not pipeline.rebuild()
    pipeline.close()
    return pipeline.folder


@pytest.mark.parametrize("frames", ["first", "all"])
def test_the_order_of_rows_does_not_depend_on_which_rank_is_faster(
    tmp_path: Path, workers: Workers, frames: str
) -> None:
    found = [
        run_ranks(tmp_path / str(number), workers, order, frames=frames, settings=PATIENT)
        for number, order in enumerate([[0, 1, 2], [2, 1, 0], [1, 2, 0]])
    ]
    assert places(found[0]) == expected(3)
    expect_a_row_each_step(found[0])
    every = [repr(rows_of(folder, "both")) for folder in found]  # words: NaN is no other than NaN
    assert every[1:] == every[:1] * 2
    kept = [{k: v for k, v in files_of(f).items() if not k.startswith("frames")} for f in found]
    assert all(files == kept[0] for files in kept[1:])


def test_rows_wait_for_a_rank_that_is_slow_but_records_are_committed(
    tmp_path: Path, workers: Workers
) -> None:
    first, second = said_by(0), said_by(1)
    pipeline = open_run(tmp_path, workers, started=first.started, settings=PATIENT)
    feed(pipeline, first)
    feed(pipeline, second, upto=4)
    for _ in range(3):
        pipeline.commit()
    assert places(pipeline.folder) == expected(2)[:6]
    assert pipeline.committed_cseq("rank0", 1) == len(first.records)
    feed(pipeline, second)
    drain(pipeline)
    assert places(pipeline.folder) == expected(2)
    assert pipeline.status == "finished"
    pipeline.close()


def test_rows_wait_for_a_rank_that_has_not_been_heard_of(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers, started=said_by(0).started, settings=PATIENT)
    feed(pipeline, said_by(0))
    for _ in range(3):
        pipeline.commit()
    assert rows_of(pipeline.folder) == []
    assert pipeline.status is None
    pipeline.nobody_joins()
    drain(pipeline)
    assert [rank for _, _, rank in places(pipeline.folder)] == [0] * 24
    assert pipeline.status == "finished"
    pipeline.close()


def test_a_rank_that_comes_after_the_wait_gets_its_place_in_the_end(
    tmp_path: Path, workers: Workers
) -> None:
    pipeline = open_run(tmp_path, workers, started=said_by(0).started)
    feed(pipeline, said_by(0))
    drain(pipeline)
    assert len(rows_of(pipeline.folder)) == 24
    expect_a_row_each_step(pipeline.folder)
    feed(pipeline, said_by(1))
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    assert places(pipeline.folder) == expected(2)
    expect_a_row_each_step(pipeline.folder)
    assert not pipeline.rebuild()
    pipeline.close()


def test_a_rank_that_is_lost_ends_the_run_as_failed_and_keeps_the_rows_of_the_others(
    tmp_path: Path, workers: Workers
) -> None:
    pipeline = open_run(tmp_path, workers, started=said_by(0).started, settings=PATIENT)
    feed(pipeline, said_by(0))
    feed(pipeline, said_by(1), upto=8)
    pipeline.commit()
    pipeline.lost(Origin("rank1", 1))
    drain(pipeline)
    assert places(pipeline.folder) == [
        place for place in expected(2) if place[2] == 0 or (place[0] == "train" and place[1] <= 7)
    ]
    expect_a_row_each_step(pipeline.folder)
    with RunReader(pipeline.folder) as reader:
        state = reader.state()
        books = reader.books()
    assert (state.status, state.reason) == ("failed", "rank1 went away without ending the run")
    assert all(b.offered == b.delivered + b.dropped + b.pending for b in books.values())
    assert (pipeline.folder / "final_summary_report.md").exists()
    pipeline.close()


def test_the_last_step_is_the_run_s_own_even_if_one_rank_never_came_to_it(
    tmp_path: Path, workers: Workers
) -> None:
    first, second = said_by(0, frames=False), said_by(1, frames=False)
    pipeline = open_run(tmp_path, workers, started=first.started, settings=PATIENT)
    feed(pipeline, second, upto=3)
    feed_records(pipeline, [*first.records[:4], make_run_ended(status="failed", totals={})])
    pipeline.lost(second.origin)
    drain(pipeline)
    assert places(pipeline.folder) == expected(2)[:5]
    expect_a_row_each_step(pipeline.folder, phases=("train",))
    pipeline.close()


def test_the_order_is_the_same_across_a_restart_of_the_analyzer(
    tmp_path: Path, workers: Workers
) -> None:
    """The first analyzer ends between the ranks of a step: two starts and seven rows are out."""
    first, second = said_by(0), said_by(1)
    settings = replace(PATIENT, release_limit=9)
    pipeline = open_run(tmp_path, workers, started=first.started, settings=settings)
    feed(pipeline, first)
    feed(pipeline, second)
    pipeline.commit()
    assert places(pipeline.folder) == expected(2)[:7]
    pipeline.close()
    again = open_run(tmp_path, workers, started=second.started, settings=PATIENT)
    # What the alerts go by is read again as it was: without the run's own rows.
    seen = [(row.phase, row.step, row.rank) for row, _ in again._ledger.alerts._rows(0)]
    assert seen == expected(2)[:7]
    feed(again, second)
    feed(again, first)
    drain(again)
    assert places(again.folder) == expected(2)
    expect_a_row_each_step(again.folder)
    again.close()


def test_the_last_frames_of_one_rank_do_not_hold_the_others_up(
    tmp_path: Path, workers: Workers
) -> None:
    """Its end waits for a frame that no batch named; its rows are all there."""
    settings = replace(PATIENT, end_grace_s=60.0)
    first, second = said_by(0), said_by(1)
    totals = {"train": Totals(offered=21, delivered=20, pending=1)}
    first.records[-1] = make_run_ended(totals=totals)
    pipeline = open_run(tmp_path, workers, started=first.started, settings=settings)
    feed(pipeline, first)
    feed(pipeline, second)
    for _ in range(5):
        pipeline.commit()
    assert places(pipeline.folder) == expected(2)
    assert pipeline.status is None
    pipeline.close()


@pytest.mark.parametrize("ranks", [(1, 2), (2, 1)])
def test_a_resume_with_another_number_of_ranks_goes_on_with_the_run_s_rows(
    tmp_path: Path, workers: Workers, ranks: tuple[int, int]
) -> None:
    before, after = ranks
    pipeline = open_run(tmp_path, workers, started=said_by(0, ranks=before).started)
    for rank in range(before):
        feed(pipeline, said_by(rank, ranks=before), upto=16)
    for _ in range(3):
        pipeline.commit()
    for rank in range(after):
        feed_records(pipeline, resumed(rank, ranks=after), origin=Origin(f"rank{rank}", 2))
    drain(pipeline)
    found = [(row["phase_step"], row.get("ranks", 1)) for row in rows_of(pipeline.folder)]
    assert found == [(step, before) for step in range(1, 9)] + [(9, after), (10, after)]
    with RunReader(pipeline.folder) as reader:
        assert reader.count("train", upto=reader.state().released) == 10
        assert reader.state().status == "finished"
    pipeline.close()


def resumed(rank: int, *, ranks: int) -> list[CriticalMessage]:
    """What a rank says that goes on at step 8 with two more."""
    started = make_run_started(
        producer=f"rank{rank}", world_size=ranks, incarnation=2, resumed_from_step=8
    )
    batches = [make_batch(step, rank=rank, loss=1.0 + rank, frame=None) for step in (9, 10)]
    return [started, *batches, make_run_ended(totals={})]


def test_a_rank_that_the_others_rows_wait_for_is_named_with_how_long(
    tmp_path: Path,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    ranks = [said_by(rank, ranks=3, frames=False) for rank in range(3)]
    pipeline = open_run(tmp_path, workers, started=ranks[0].started, settings=PATIENT)
    feed(pipeline, ranks[0])
    feed(pipeline, ranks[1], upto=4)
    pipeline.commit()
    assert pipeline.waits_for == {}, "noted with the next look"
    pipeline.commit()
    assert pipeline.waits_for == {"rank2": 0.0}  # of rank 1 there is a record yet
    clock[0] += 4.0
    feed(pipeline, ranks[2], upto=6)
    for _ in range(3):
        pipeline.commit()
    assert pipeline.waits_for == {"rank1": 0.0}
    clock[0] += 12.0
    pipeline.commit()
    assert pipeline.waits_for == {"rank1": 12.0}
    assert [record.getMessage() for record in caplog.records] == [
        "auto_analysis_demo: results wait for rank1 (12 s)"
    ]
    feed(pipeline, ranks[1])
    feed(pipeline, ranks[2])
    for _ in range(5):
        pipeline.commit()
    assert pipeline.waits_for == {}
    pipeline.close()
