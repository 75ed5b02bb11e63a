"""No worked vector is forgotten: each one's metric is asked for by a test."""

import re
from pathlib import Path

from tests.analyzer_service.analyses.test_vectors import VECTORS

SOURCES = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]


def test_every_metric_of_the_vectors_is_tested():
    whole = {name for text in SOURCES for name in re.findall(r'\bonly="([^"]+)"', text)}
    starts = {name for text in SOURCES for name in re.findall(r'\bstart="([^"]+)"', text)}
    metrics = {vector["metric"] for vector in VECTORS}
    assert metrics
    assert {
        metric
        for metric in metrics
        if metric not in whole and not any(metric.startswith(start) for start in starts)
    } == set()
