"""The Health tab in a real browser: what is wrong is read first, and goes when it is over."""

import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from analyzer_service.pipeline.folder import FolderLock
from analyzer_service.sinks.health_file import HealthFile
from tests.analyzer_service.page.health.test_health import alert
from tests.analyzer_service.page.health.test_verdict import WELL
from tests.analyzer_service.page.near import near_page
from tests.analyzer_service.sinks.runs import write_run


def note(folder: Path, **overrides: Any) -> None:
    now = time.time()
    HealthFile(folder).append({**WELL, "at": now, "event": None, "heard_at": now, **overrides})


def test_a_live_run_tells_what_is_wrong_until_it_is_over(tmp_path: Path, tab: Page) -> None:
    folder = tmp_path / "auto_analysis_demo"
    run = write_run(folder, epochs=1, batches=4, val_batches=0)
    lock = FolderLock(folder)
    with near_page(tmp_path) as url:
        note(folder)
        note(folder)
        tab.goto(f"{url}runs/demo#health")
        expect(tab.get_by_role("heading", name="All is well")).to_be_visible()
        expect(tab.get_by_role("img", name="Lag over time")).to_be_visible()
        expect(tab.get_by_text("1 of 2 busy")).to_be_visible()

        note(folder, store_failing=True)
        expect(tab.get_by_role("heading", name="Results cannot be written.")).to_be_visible()
        note(folder)
        alert(run)
        expect(tab.get_by_role("heading", name="An alert of the training goes on")).to_be_visible()
        expect(tab.get_by_text("It <b>rises</b>.", exact=True)).to_be_visible()

        run.batch(5, framed=False)
        expect(
            tab.get_by_role("row", name="rank0/train").get_by_text("memory budget")
        ).to_be_visible()
        note(folder, event="end", status="finished")
        run.end()
        expect(tab.get_by_role("heading", name="All is well")).to_be_visible()
        expect(tab.get_by_text("as the run ended")).to_be_visible()
        tab.goto("about:blank")  # or it would miss the server
    lock.release()
    run.close()
