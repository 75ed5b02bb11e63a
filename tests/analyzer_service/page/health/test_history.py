"""History of health: bounded, its peaks kept, its silences seen; expected values by hand."""

import math
from typing import Any

import numpy as np
import pytest

from analyzer_service.page.health.history import history, rows_of


def line(at: float, **values: Any) -> dict[str, Any]:
    return {"at": at, "ingest_lag_s": 0.1, "dropped": 0, **values}


def test_no_lines_make_empty_columns() -> None:
    found = history(rows_of([]))
    assert found["at"].size == found["rss_bytes"].size == 0


def test_few_lines_are_all_there() -> None:
    found = history(
        rows_of([line(10.0, frames_waiting=2), line(12.0, frames_waiting=5, dropped=3)])
    )
    assert found["at"].tolist() == [10.0, 12.0]
    assert found["frames_waiting"].tolist() == [2.0, 5.0]
    assert found["dropped"].tolist() == [0.0, 3.0]
    assert np.isnan(found["trainer_waiting_bytes"]).all()


@pytest.mark.parametrize("count", [599, 600, 601, 5_000])
def test_many_lines_become_few_and_no_peak_is_lost(count: int) -> None:
    lines = [line(2.0 * i, work_lag_s=float(i % 7), dropped=i) for i in range(count)]
    lines[count // 2]["work_lag_s"] = 99.0
    found = history(rows_of(lines))
    assert 250 < found["at"].size <= 600
    assert np.nanmax(found["work_lag_s"]) == 99.0
    assert found["dropped"][-1] == count - 1
    assert (np.diff(found["at"]) > 0).all()


def test_where_the_analyzer_was_away_there_is_a_gap() -> None:
    found = history(rows_of([line(0.0), line(2.0), line(502.0), line(504.0)]))
    assert found["at"].tolist() == [0.0, 2.0, 252.0, 502.0, 504.0]
    assert np.isnan(found["ingest_lag_s"]).tolist() == [False, False, True, False, False]


def test_an_analyzer_that_came_and_went_all_the_time_stays_few_points() -> None:
    lines = [line(1000.0 * i + j) for i in range(800) for j in (0, 2)]
    assert history(rows_of(lines))["at"].size <= 600


def test_what_is_no_number_is_undefined() -> None:
    found = history(
        rows_of([line(0.0, work_lag_s="x", rss_bytes=None), line(2.0, work_lag_s=math.inf)])
    )
    assert np.isnan(found["work_lag_s"]).all()
