"""What a finished run costs: bytes of each kind, and seconds to look at it in the page."""

import sqlite3
import statistics
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from analyzer_service.commit.database import run_database
from tests.analyzer_service.page.serving import Served

_TIMES: Final = 5
_WIDTH: Final = 1500


def disk(folder: Path, batches: int) -> dict[str, Any]:
    """Bytes of the run's folder by kind, all together and a batch."""
    kinds = {"database": [run_database(folder)], "frames": [*folder.glob("frames/*")]}
    kinds["dashboards"] = [*folder.glob("*_batch_*.png")]
    kinds["final JSON"] = [*folder.glob("final_training_metrics.json")]
    kinds["epochs' JSON"] = [*folder.glob("epoch_*.json")]
    kinds["reports"] = [*folder.glob("final_summary_report.*")]
    kinds["health"] = [*folder.glob("health.jsonl")]
    sizes = {kind: sum(path.stat().st_size for path in paths) for kind, paths in kinds.items()}
    return {
        "bytes": sizes,
        "a_batch": {kind: round(size / batches, 1) for kind, size in sizes.items()},
        "tables_a_batch": tables(folder, batches),
    }


def tables(folder: Path, batches: int) -> dict[str, float]:
    """Bytes a batch of each large table with its indexes; empty where SQLite cannot tell."""
    query = (
        "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
        "WHERE s.aggregate = 1 GROUP BY m.tbl_name ORDER BY 2 DESC LIMIT 8"
    )
    with closing(sqlite3.connect(run_database(folder))) as connection:
        try:
            found = connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # built without dbstat
            return {}
    return {name: round(size / batches, 1) for name, size in found}


def page(output_dir: Path, run: str, batches: int) -> dict[str, Any]:
    """Seconds of what a viewer asks the page's own process for: the first time, then the median.

    The first request of all is the list of runs, as it is when the page has just been started.
    """
    series = f"api/runs/{run}/series?phase=train&name=loss&points={_WIDTH}"
    asked = {
        "list": "api/runs",
        "list, its page": "",
        "run, its page": f"runs/{run}",
        "which charts there are": f"api/runs/{run}/metrics",
        "a chart, all of it": series,
        "a chart, its last tenth": f"{series}&from={9 * batches // 10}",
        "steps with images": f"api/runs/{run}/steps",
        "dashboards": f"api/runs/{run}/dashboards",
    }
    served = Served(output_dir, log=output_dir / "page.log")
    try:
        return {what: _asked(served.url + path) for what, path in asked.items()}
    finally:
        served.close()


def _asked(url: str) -> dict[str, float]:
    took, nbytes = [], 0
    for number in range(_TIMES):
        # Another number of points each time: what was asked for once is remembered.
        began = time.perf_counter()
        asked = url.replace(f"points={_WIDTH}", f"points={_WIDTH + number}")
        with urllib.request.urlopen(asked) as answer:
            nbytes = len(answer.read())
        took.append(time.perf_counter() - began)
    return {
        "first_s": round(took[0], 3),
        "median_s": round(statistics.median(took), 3),
        "bytes": nbytes,
    }
