"""Alerts in ``final_training_metrics.json``: when each began and ended, and not too many."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from analyzer_service.sinks.alert_list import MOST_LISTED
from analyzer_service.sinks.json_files import write_final
from tests.analyzer_service.sinks.runs import RunWriter
from tests.analyzer_service.sinks.test_report_alerts import START, an_alert, put


def final(folder: Path, release: int = 24) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    data = json.loads(write_final(folder, release).read_text("utf-8"))
    return data["alerts"], data["metadata"]["alerts"]


def test_a_run_without_alerts_has_an_empty_list(run: RunWriter, folder: Path) -> None:
    listed, counts = final(folder)
    assert listed == []
    assert counts == {"fired": 0, "active": 0, "listed": 0, "by_name": {}}


def test_each_alert_has_its_first_and_last_step_and_how_long(run: RunWriter, folder: Path) -> None:
    over = {"cleared_release": 20, "cleared_step": 18, "cleared_at": START + 100}
    put(run, an_alert(10), an_alert(12, name="stalled", layer="bam_16", peak=math.nan, **over))

    listed, counts = final(folder)

    assert listed[0] == {
        "name": "memory_growth",
        "layer": None,
        "rank": 0,
        "phase": "train",
        "first_step": 5,
        "fired_step": 10,
        "last_step": 10,
        "first_at": START + 5,
        "last_at": START + 10,
        "duration_s": 5.0,
        "active": True,
        "worst": 120.5,
        "sentence": "Memory grows steadily: from 512 MiB to 632 MiB.",
    }
    second = listed[1]
    assert (second["first_step"], second["last_step"], second["duration_s"]) == (7, 18, 93.0)
    assert (second["active"], second["worst"], second["layer"]) == (False, None, "bam_16")
    assert counts["by_name"] == {"memory_growth": 1, "stalled": 1}
    assert (counts["fired"], counts["active"], counts["listed"]) == (2, 1, 2)
    assert pd.DataFrame(listed)["duration_s"].sum() == 98.0


def test_what_is_later_than_the_file_is_not_in_it(run: RunWriter, folder: Path) -> None:
    over = {"cleared_release": 20, "cleared_step": 18, "cleared_at": START + 100}
    put(run, an_alert(10, **over), an_alert(22))

    listed, counts = final(folder, release=15)

    assert [(alert["active"], alert["last_step"]) for alert in listed] == [(True, 10)]
    assert (counts["fired"], counts["active"]) == (1, 1)


def test_the_list_is_bounded_and_the_rest_is_counted(run: RunWriter, folder: Path) -> None:
    put(run, *(an_alert(10, moment=20 + i) for i in range(MOST_LISTED + 5)))

    listed, counts = final(folder)

    assert len(listed) == counts["listed"] == MOST_LISTED
    assert counts["by_name"] == {"memory_growth": MOST_LISTED + 5}
