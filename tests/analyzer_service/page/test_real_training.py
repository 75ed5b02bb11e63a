"""A real training run, watched in a real browser from its first batch to its end."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.analyzer_service.page.serving import Served
from tests.processes.commands import LIMIT_S, TINY, start

STEPS = 100
WAIT_MS = 120_000.0


@pytest.mark.process
def test_a_training_run_is_seen_as_it_goes_on_and_ends(
    tmp_path: Path, serve: Callable[..., Served], tab: Page
) -> None:
    served = serve()
    tab.goto(served.url)
    trainer = start(
        *("trainer", *TINY, "--max-steps", str(STEPS), "--epochs", "99", "--analysis-freq", "25"),
        *("--run-name", "watched", "--output-dir", tmp_path),
        cwd=tmp_path,
        log=tmp_path / "trainer.log",
    )
    try:
        link = tab.get_by_role("link", name="watched", exact=True)
        link.wait_for(timeout=WAIT_MS)  # the list notices it by itself
        link.click()
        loss = tab.locator('[data-key="training/loss"] .canvas')
        seen: list[int] = []
        while not seen or seen[-1] < STEPS:  # every look waits for more rows than the last one had
            more = seen[-1] if seen else 0
            tab.wait_for_function(
                "([canvas, rows]) => Number(canvas.dataset.rows) > rows",
                arg=[loss.element_handle(timeout=WAIT_MS), more],
                timeout=WAIT_MS,
            )
            seen.append(int(loss.get_attribute("data-rows") or 0))
        assert len(seen) > 1, "it was drawn once, as a whole"
        assert trainer.wait(LIMIT_S) == 0, (tmp_path / "trainer.log").read_text()
        expect(tab.get_by_text("finished", exact=True).first).to_be_visible(timeout=WAIT_MS)
        tab.get_by_role("link", name="Tiles").click()
        expect(tab.get_by_text("Reconstruction").first).to_be_visible(timeout=WAIT_MS)
    finally:
        trainer.kill()
        trainer.wait()
