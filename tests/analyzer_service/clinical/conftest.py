from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.analyzer_service.clinical.runs import TileRun


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., TileRun]]:
    """Makes runs, which are closed after the test."""
    made: list[TileRun] = []

    def make(**overrides: Any) -> TileRun:
        run = TileRun(tmp_path / f"auto_analysis_{len(made)}", **overrides)
        made.append(run)
        return run

    yield make
    for run in made:
        run.close()
