"""Alerts of a run: kept as rows are released, the same after a death, a resume, a rebuild."""

import logging
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.alerts.engine import AlertEngine
from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.commit import alerts as module
from analyzer_service.commit.database import open_writer
from analyzer_service.commit.reader import AlertRecord, RunReader
from analyzer_service.pipeline import Origin
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import BatchMetrics
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    make_said,
    open_run,
    run_whole,
)
from tests.builders import make_batch, make_epoch_ended, make_run_ended, make_run_started

QUICK = AlertSettings.model_validate(
    {
        "off": ["frames_dropped", "inference_slow"],
        "memory": {"growth_batches": 40, "after_batches": 4, "growth_mib": 4.0, "growth": 0.01},
        "finite": {"clear_batches": 3},
        "overfitting": {"epochs": 1, "rise": 0.01},
    }
)
WATCHED = replace(SETTINGS, alerts=QUICK)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


@pytest.fixture(autouse=True)
def kept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_EVERY", 8)


def make_troubled(epochs: int = 5) -> Said:
    """Memory grows with each batch (as `make_batch` has it), batch 22 is NaN, it overfits."""
    said = make_said(epochs=epochs)
    records = [
        _troubled(message) if isinstance(message, BatchMetrics) else message
        for message in said.records
    ]
    return replace(said, records=records)


def _troubled(batch: BatchMetrics) -> BatchMetrics:
    if batch.phase == "val":
        return batch.model_copy(update={"loss": 1.0 + 0.1 * batch.epoch})
    if batch.phase_step == 22:
        return batch.model_copy(update={"loss": math.nan})
    return batch


def alerts_of(folder: Path) -> list[AlertRecord]:
    with RunReader(folder) as reader:
        return reader.alerts()


def test_episodes_are_kept_with_when_and_why(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, make_troubled(), settings=WATCHED)
    found = {alert.name: alert for alert in alerts_of(folder)}
    assert set(found) == {"memory_growth", "not_finite", "overfitting"}
    finite = found["not_finite"]
    assert (finite.step, finite.cleared_step, finite.phase, finite.rank) == (22, 25, "train", 0)
    assert finite.moment == 2 * finite.release
    assert finite.active(finite.release)
    assert not finite.active(finite.release - 1)
    assert finite.cleared_release is not None
    assert not finite.active(finite.cleared_release)
    grows = found["memory_growth"]
    assert grows.cleared_release is None
    assert (grows.since_step, grows.last_step) == (5, 48), "every fourth median is judged"
    assert grows.peak > 20
    assert found["overfitting"].moment % 2 == 1, "it is judged after the last row of an epoch"


def test_closing_at_any_moment_changes_no_alert(tmp_path: Path, workers: Workers) -> None:
    said = make_troubled()
    expected = alerts_of(run_whole(tmp_path / "calm", workers, said, settings=WATCHED))
    generator = random.Random(5)
    pipeline = open_run(tmp_path / "restless", workers, settings=WATCHED)
    while (committed := pipeline.committed_cseq(*ORIGIN)) < len(said.records):
        upto = committed + generator.randint(1, 9)
        feed_records(pipeline, said.records[committed:upto], first=committed + 1)
        feed_frames(pipeline, [f for f in said.frames if f.global_step <= upto])
        for _ in range(generator.randint(0, 3)):
            pipeline.commit()
        pipeline.close()
        pipeline = open_run(tmp_path / "restless", workers, settings=WATCHED)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    pipeline.close()
    assert alerts_of(pipeline.folder) == expected


def test_a_commit_that_fails_says_nothing_twice(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = make_troubled()
    expected = alerts_of(run_whole(tmp_path / "calm", workers, said, settings=WATCHED))
    pipeline = open_run(tmp_path / "failing", workers, settings=WATCHED)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    settle = module.RunAlerts.settle
    failures = iter([OSError("no"), OSError("no")])

    def failing(self: module.RunAlerts) -> None:
        settle(self)
        if (error := next(failures, None)) is not None:
            raise error

    monkeypatch.setattr(module.RunAlerts, "settle", failing)
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            pipeline.commit()
    told = pipeline.commit().alerts
    drain(pipeline)
    pipeline.close()
    assert alerts_of(pipeline.folder) == expected
    assert [alert.name for alert in told] == [alert.name for alert in expected]


def test_a_resume_takes_alerts_back_with_their_rows(tmp_path: Path, workers: Workers) -> None:
    said = make_troubled(epochs=3)
    killed = [m for m in said.records if m.type != "run_ended"]
    pipeline = open_run(tmp_path, workers, started=said.started, settings=WATCHED)
    feed_records(pipeline, killed)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    assert {alert.name for alert in alerts_of(pipeline.folder)} >= {"not_finite", "memory_growth"}
    pipeline.close()

    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=14)
    pipeline = open_run(tmp_path, workers, started=again, settings=WATCHED)
    steps = range(15, 31)
    batches = [make_batch(step, memory_mb=100.0, frame=None) for step in steps]
    records = [again, *batches, make_epoch_ended(2), make_run_ended()]
    feed_records(pipeline, records, origin=Origin("rank0", 2))
    drain(pipeline)
    pipeline.close()
    assert alerts_of(pipeline.folder) == []


def test_a_resume_opens_again_what_had_cleared_beyond_its_step(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_troubled(epochs=3)
    killed = [m for m in said.records if m.type != "run_ended"]
    pipeline = open_run(tmp_path, workers, started=said.started, settings=WATCHED)
    feed_records(pipeline, killed)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    (before,) = [a for a in alerts_of(pipeline.folder) if a.name == "not_finite"]
    assert before.cleared_step == 25
    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=23)
    origin = Origin("rank0", 2)
    nan = [make_batch(step, loss=math.nan, frame=None) for step in (24, 25, 26)]
    good = [make_batch(step, frame=None) for step in range(27, 31)]
    pipeline.close()
    pipeline = open_run(tmp_path, workers, started=again, settings=WATCHED)
    records = [again, *nan, *good, make_epoch_ended(2), make_run_ended()]
    feed_records(pipeline, records, origin=origin)
    drain(pipeline)
    pipeline.close()
    (after,) = [a for a in alerts_of(pipeline.folder) if a.name == "not_finite"]
    assert (after.release, after.step, after.cleared_step) == (before.release, 22, 29)


def test_a_rebuild_finds_the_same(tmp_path: Path, workers: Workers) -> None:
    said = make_troubled()
    expected = alerts_of(run_whole(tmp_path / "whole", workers, said, settings=WATCHED))
    late = replace(WATCHED, accept_late_frames=True)
    folder = run_whole(tmp_path / "late", workers, said.without(3), settings=late)
    pipeline = open_run(tmp_path / "late", workers, started=said.started, settings=late)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    pipeline.close()
    assert alerts_of(folder) == expected


def test_other_settings_judge_a_run_anew(tmp_path: Path, workers: Workers) -> None:
    said = make_troubled()
    other = replace(SETTINGS, alerts=AlertSettings(off=("inference_slow",)))
    expected = alerts_of(run_whole(tmp_path / "whole", workers, said, settings=WATCHED))
    folder = run_whole(tmp_path / "other", workers, said, settings=other)
    assert alerts_of(folder) != expected
    open_run(tmp_path / "other", workers, started=said.started, settings=WATCHED).close()
    assert alerts_of(folder) == expected
    with RunReader(folder) as reader:
        assert reader.alert_settings() == QUICK


def test_each_is_told_once_in_the_log_and_to_the_caller(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = make_troubled()
    pipeline = open_run(tmp_path, workers, settings=WATCHED)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    told = [alert for _ in range(40) for alert in pipeline.commit().alerts]
    drain(pipeline)
    pipeline.close()
    assert sorted(alert.name for alert in told) == ["memory_growth", "not_finite", "overfitting"]
    lines = [record.getMessage() for record in caplog.records]
    assert (
        sum(line.startswith("demo: NaN or infinity, at step 22. In training") for line in lines)
        == 1
    )
    assert "demo: NaN or infinity: over at step 25" in lines


def test_a_rule_that_raises_costs_no_row(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a rule is wrong")

    monkeypatch.setattr(AlertEngine, "row", broken)
    folder = run_whole(tmp_path, workers, make_said(), settings=WATCHED)
    with RunReader(folder) as reader:
        state = reader.state()
        assert state.released == 24
        assert state.failures["alerts"].count == 24
        assert "a rule is wrong" in state.failures["alerts"].last
        assert reader.alerts() == []


def test_a_run_from_before_there_were_alerts_has_none(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, make_said(), settings=WATCHED)
    connection = open_writer(folder)
    connection.execute("DROP TABLE alerts")
    connection.close()
    assert alerts_of(folder) == []
