"""What the live page takes: to load a long run, to show a commit, to draw, and of the processor.

    python benchmarks/page.py [ROWS]

Makes a run of ROWS rows (100,000), serves it, and opens it in headless Chromium (which
draws without a GPU). Prints medians and 95th percentiles; every number is as a viewer has it.

- load: from asking for the page until every chart on screen has drawn all rows.
- commit to visible: a process of its own commits rows at random moments; from the end of each
  commit to the frame after the chart drew it.
- frames: how often the browser draws while a chart is panned and zoomed with the wheel, all charts
  following, against the same browser at rest.
- processor: of the server, while four viewers watch a run that commits 10 rows a second.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure.long_run import LongRun

from tests.analyzer_service.page.conftest import chromium
from tests.analyzer_service.page.serving import Served

ROOT = Path(__file__).parents[1]
LOADS = 7
COMMITS = 80
VIEWERS = 4
WATCHED_S = 20.0
MOVED_S = 4.0
DRAWN = """rows => {
  const all = [...document.querySelectorAll('.chart .canvas')].filter((c) => {
    const at = c.getBoundingClientRect();
    return at.top < innerHeight && at.bottom > 0;
  });
  return all.length > 0 && all.every((c) => Number(c.dataset.rows) >= rows) && performance.now();
}"""
NOTE = """() => {
  window.seen = [];
  const canvas = document.querySelector('[data-key="training/loss"] .canvas');
  new MutationObserver(() => {
    const rows = Number(canvas.dataset.rows);
    requestAnimationFrame(() => window.seen.push([rows, Date.now()]));
  }).observe(canvas, { attributeFilter: ['data-rows'] });
}"""
FRAMES = """() => {
  window.frames_at = [];
  const note = (at) => { window.frames_at.push(at); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}"""


def main(rows: int) -> None:
    root = Path(tempfile.mkdtemp(prefix="sidelight-page-"))
    try:
        folder = root / "auto_analysis_long"
        run = LongRun(folder)
        run.fill(rows)
        run.close()
        served = Served(root, log=root / "page.log")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
            )
            measure(browser, served, folder, rows)
            browser.close()
        served.close()
    finally:
        shutil.rmtree(root)


def measure(browser: Browser, served: Served, folder: Path, rows: int) -> None:
    url = f"{served.url}runs/long"
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{os.cpu_count()} cores, {waiting:.1f} processes a core wait or run before this begins")
    loads = [load_s(browser, url, rows) for _ in range(LOADS)]
    print(f"load {rows:,} rows: {spread(loads, 's', 2)}", flush=True)
    tab = opened(browser, url, rows)
    print(f"frames: {frames(tab)}", flush=True)
    tab.context.close()
    for every, words in ((0.5, "2 a second"), (0.1, "10 a second")):
        tab = opened(browser, url, rows)
        tab.evaluate(NOTE)
        delays = commit_to_visible_ms(tab, folder, every)
        print(
            f"commit to visible, {words}: {spread(delays, 'ms', 0)} (n {len(delays)})", flush=True
        )
        tab.context.close()
    for viewers in (0, 1, VIEWERS):
        share = processor_share(browser, url, folder, served.process.pid, viewers)
        print(f"processor of the server, {viewers} viewers, 10 rows/s: {share:.1%}", flush=True)


def opened(browser: Browser, url: str, rows: int) -> Page:
    tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    tab.goto(url)
    tab.wait_for_function(DRAWN, arg=rows)
    return tab


def load_s(browser: Browser, url: str, rows: int) -> float:
    tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    tab.goto(url, wait_until="commit")
    drawn_at = tab.wait_for_function(DRAWN, arg=rows, polling="raf").json_value()
    tab.context.close()
    return float(drawn_at) / 1000


def commit_to_visible_ms(tab: Page, folder: Path, every: float) -> list[float]:
    """Of each row how long it took to be drawn, whether alone or with those after it."""
    command = [sys.executable, __file__, "--write", str(folder), str(every), str(COMMITS)]
    written = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    commits = [tuple(map(float, line.split())) for line in written.splitlines()]
    tab.wait_for_function("rows => window.seen.at(-1)?.[0] >= rows", arg=commits[-1][0])
    seen = tab.evaluate("window.seen")
    return [
        next(at for drawn, at in seen if drawn >= rows) - committed_ms
        for rows, committed_ms in commits
    ]


def write(folder: Path, every: float, count: int) -> None:
    """Commit rows at random moments, `every` seconds on average; print when each was."""
    run = LongRun(folder)
    for _ in range(count):
        time.sleep(every * random.uniform(0.5, 1.5))
        rows = run.commit()
        print(rows, time.time() * 1000, flush=True)
    run.close()


def frames(tab: Page) -> str:
    box = tab.locator(".chart .u-over").nth(1).bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.evaluate(FRAMES)
    rates = []
    for moved in (False, True):
        tab.evaluate("window.frames_at = []")
        used = browser_processor_s()
        if moved:
            tab.keyboard.down("Control")
        until, turn = time.monotonic() + MOVED_S, 0
        while time.monotonic() < until:
            turn += 1
            if moved:
                # Closer for a while, then back and forth, then out: zoom and pan in turn.
                tab.mouse.wheel(0, -60 if turn % 40 < 20 else 60)
            else:
                tab.wait_for_timeout(16)
        tab.keyboard.up("Control")
        gaps = np.diff(tab.evaluate("window.frames_at"))
        a_frame_ms = 1000 * (browser_processor_s() - used) / len(gaps)
        longest = np.percentile(gaps, 95)
        rates.append(
            f"{1000 / gaps.mean():.0f}/s (95 % of gaps up to {longest:.0f} ms; the browser's "
            f"processes used {a_frame_ms:.0f} ms of the processor a frame)"
        )
    charts = tab.locator(".chart canvas").count()
    return f"at rest {rates[0]}, zooming {charts} charts {rates[1]}"


def processor_share(browser: Browser, url: str, folder: Path, pid: int, viewers: int) -> float:
    contexts = [
        browser.new_context(viewport={"width": 1280, "height": 800}) for _ in range(viewers)
    ]
    for context in contexts:
        context.new_page().goto(url)
    count = int(WATCHED_S / 0.1)
    command = [sys.executable, __file__, "--write", str(folder), "0.1", str(count)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert writer.stdout is not None
    writer.stdout.readline()  # it has begun
    begun, used = time.monotonic(), processor_s(pid)
    for _ in writer.stdout:
        pass
    share = (processor_s(pid) - used) / (time.monotonic() - begun)
    writer.wait()
    for context in contexts:
        context.close()
    return share


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def browser_processor_s() -> float:
    """What all processes of the browser have used; it is a child of this one's driver."""
    family = psutil.Process().children(recursive=True)
    used = [each.cpu_times() for each in family if "chrom" in each.name()]
    return sum(times.user + times.system for times in used)


def spread(values: list[float], unit: str, digits: int) -> str:
    high = np.percentile(values, 95)
    return f"median {statistics.median(values):.{digits}f} {unit}, 95 % {high:.{digits}f} {unit}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
