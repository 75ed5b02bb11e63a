"""Every test here has a scene of processes, which ends with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Processes over real sockets, none of which outlives the test."""
    made = Scene(tmp_path)
    yield made
    made.close()
