"""Run folders that are closed after the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analyzer_service.sinks.runs import RunWriter, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auto_analysis_demo"


@pytest.fixture
def keep() -> Iterator[Callable[[RunWriter], RunWriter]]:
    """Closes the runs that it is given."""
    kept: list[RunWriter] = []

    def keep_one(run: RunWriter) -> RunWriter:
        kept.append(run)
        return run

    yield keep_one
    for run in kept:
        run.close()


@pytest.fixture
def run(folder: Path, keep: Callable[[RunWriter], RunWriter]) -> RunWriter:
    """Two epochs of ten training and two validation batches, finished."""
    written = keep(write_run(folder))
    written.end()
    return written
