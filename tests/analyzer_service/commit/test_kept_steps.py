"""Which steps' frames are kept, of several ranks and starts of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from tests.analyzer_service.page.tiles.kept_runs import KnownRun


@pytest.fixture
def run(tmp_path: Path) -> Iterator[KnownRun]:
    run = KnownRun(tmp_path)
    run.add(1)
    run.add(2)
    yield run
    run.close()


def test_of_several_ranks_the_first_is_shown(run: KnownRun) -> None:
    run.writer.start(producer="rank1", world_size=2)
    run.keep(run.samples, {}, number=1, rank=1)
    with RunReader(run.folder) as reader:
        kept = reader.kept_steps()
        assert [(step.phase_step, step.rank) for step in kept.steps()] == [(1, 0), (2, 0), (1, 1)]
        assert [row.rank for row in kept.rows("val", 1)] == [0, 1]
        assert kept.count() == 3


def test_asking_for_what_is_new_finds_what_asking_for_all_does(run: KnownRun) -> None:
    with RunReader(run.folder) as reader:
        kept = reader.kept_steps()
        assert kept.steps(after=1) == kept.steps()[1:]
        assert kept.steps(after=2) == []


def test_superseded_rows_come_last_and_are_not_listed(run: KnownRun) -> None:
    run.writer.start(incarnation=2, resumed_from_step=10)
    run.add(2)
    with RunReader(run.folder) as reader:
        kept = reader.kept_steps()
        assert [bool(row.superseded) for row in kept.rows("val", 2)] == [False, True]
        assert [step.release for step in kept.steps()] == [1, 3]
        assert {place.release for place in kept.appearances()} == {1, 3}
        assert kept.count() == 2


def test_steps_are_found_by_index_not_by_reading_all_rows(run: KnownRun) -> None:
    with RunReader(run.folder) as reader:
        seen: list[str] = []
        reader._connection.set_trace_callback(seen.append)
        kept = reader.kept_steps()
        kept.steps()
        kept.steps(after=1)
        kept.count()
        kept.appearances()
        reader._connection.set_trace_callback(None)
        for query in seen:
            plan = [row[3] for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [line for line in plan if line.startswith("SCAN b")], (query, plan)
