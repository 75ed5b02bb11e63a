"""A run to annotate, behind the page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.analyzer_service.page.annotating.drawing import Drawing

NewDrawing = Callable[..., Drawing]


@pytest.fixture
def drawing(client: TestClient, tmp_path: Path) -> Drawing:
    """Three validation tiles of 32 x 32 pixels, nobody's yet."""
    return Drawing(client, tmp_path)
