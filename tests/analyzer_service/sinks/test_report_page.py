"""The page of the report: what the Markdown says and more, alone, safe, the same every time."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.report import write_report
from tests.analyzer_service.html.documents import Document, read
from tests.analyzer_service.sinks.runs import GATE_METRICS, LAYERS, RunWriter, write_run

Keep = Callable[[RunWriter], RunWriter]
HOSTILE = (
    "</title><script>alert(1)</script>\"'>![x](http://example.org/x.png) "
    "[y](javascript:alert(1)) <img src=http://example.org/y onerror=alert(1)> `| ## z"
)


def page_of(run: RunWriter) -> str:
    write_report(run.folder, run.release)
    return (run.folder / "final_summary_report.html").read_text("utf-8")


def plain(text: str) -> str:
    """Words alone: what Markdown and HTML say, without how."""
    return re.sub(r"[\s|`*#:_-]+", "", text)


def figures(document: Document) -> list[str]:
    return [re.split(r"Good range|,", text)[0] for text in document.texts["figcaption"]]


def test_every_word_of_the_markdown_is_on_the_page(run: RunWriter, folder: Path) -> None:
    page = read(page_of(run))

    markdown = (folder / "final_summary_report.md").read_text("utf-8")
    words = plain(page.texts["body"][0])
    for line in markdown.splitlines():
        for cell in line.split(" | "):
            assert plain(cell) in words, cell


def test_it_stands_alone(run: RunWriter) -> None:
    page = read(page_of(run))

    assert page.loads() == []
    assert page.named("script") == page.named("link") == []
    (policy,) = [m["content"] for m in page.named("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")
    assert "url(" not in page.texts["style"][0]
    assert "@import" not in page.texts["style"][0]


def test_it_can_be_read_aloud_and_found_through(run: RunWriter) -> None:
    page = read(page_of(run))

    assert page.named("html") == [{"lang": "en"}]
    assert page.texts["title"][0] == "Training report: demo"
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), "a level is skipped"
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = {a["href"] for a in page.named("a")}
    assert {link[1:] for link in links} <= targets
    for svg, title in zip(page.named("svg"), page.texts["title"][1:], strict=True):
        assert svg["role"] == "img"
        assert re.search(r"from .* to |interval", title), "a figure without words"
    assert all("scope" in attributes for attributes in page.named("th"))


def test_charts_of_training_attention_and_speed_are_there(run: RunWriter) -> None:
    shown = figures(read(page_of(run)))

    for title in ("Loss", "SSIM", "PSNR", "Forward pass", "Memory"):
        assert title in shown
    assert shown.count("Entropy") == shown.count("Sparsity") == 2  # two layers


def test_text_from_outside_is_text(folder: Path, keep: Keep) -> None:
    run = keep(write_run(folder, device=HOSTILE, stain="unknown", producer=HOSTILE))
    run.end("failed", HOSTILE)
    with run.store.transaction():
        run.store.count_failure("analysis", HOSTILE)

    text = page_of(run)

    page = read(text)
    assert {"script", "img", "link", "iframe", "object"}.isdisjoint(n for n, _ in page.elements)
    assert page.loads() == []
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert page.texts["body"][0].count("alert(1)") >= 3, "it is shown"
    assert [h for h in page.texts["h2"] if "z" in h] == []


def test_same_run_elsewhere_gives_the_same_bytes(tmp_path: Path, keep: Keep) -> None:
    pages = []
    for name in ("a", "b"):
        run = keep(write_run(tmp_path / name / "auto_analysis_demo"))
        run.end()
        pages.append(page_of(run))

    assert pages[0] == pages[1]
    assert str(tmp_path) not in pages[0]


def test_a_run_that_goes_on_and_one_without_rows_have_pages(folder: Path, keep: Keep) -> None:
    run = keep(RunWriter(folder))
    empty = read(page_of(run))
    assert empty.named("svg") == empty.named("figure") == []
    assert "Lines are medians" not in empty.texts["body"][0]
    rows = empty.texts["tbody"]
    assert all(text.strip() for text in rows), "a table without rows"
    assert "has not ended" in empty.texts["body"][0]

    run.batch(1)
    run.batch(2, loss=float("nan"))
    run.batch(3, loss=float("inf"))
    page = read(page_of(run))
    assert "Loss" in figures(page)
    assert not any("nan" in a.get("d", "") for _, a in page.elements)


def undefined(run: RunWriter) -> None:
    names = [f"attention_{layer}_{key}" for layer in LAYERS for key in GATE_METRICS]
    part = dict.fromkeys(["ssim", "psnr", "mse", "spatial_consistency", *names], math.nan)
    for step in range(1, 30):
        run.batch(step, part=part, loss=math.nan, mse=math.nan, memory_mb=None)


@pytest.mark.parametrize(
    ("fill", "plots"),
    [
        pytest.param(lambda run: run.batch(1), True, id="one batch"),
        pytest.param(lambda run: [run.batch(i) for i in range(1, 40)], True, id="no validation"),
        pytest.param(undefined, False, id="NaN only"),
    ],
)
def test_little_to_show_is_shown_well(
    folder: Path, keep: Keep, fill: Callable[[RunWriter], object], plots: bool
) -> None:
    run = keep(RunWriter(folder))
    fill(run)

    text = page_of(run)
    page = read(text)

    assert ("Loss" in figures(page)) == plots
    assert not re.search(r"\b(nan|inf|None)\b", text.partition(">Training summary</h2>")[2])
    assert len(page.named("figure")) == len(page.named("svg")), "an empty frame"
    assert all(text.strip() for text in page.texts["tbody"]), "a table without rows"


def test_long_histories_come_from_rollups(folder: Path, keep: Keep) -> None:
    """More rows than 2,048 are read as means of 2, 4, …; the page is as small."""
    run = keep(RunWriter(folder))
    run.store.connection.execute("PRAGMA synchronous = OFF")
    for number in range(1, 4200):
        run.batch(number, epoch=0, batch_idx=number - 1, framed=False)

    text = page_of(run)

    assert "successive means over 4 batches in training" in text
    with RunReader(folder) as reader:
        columns = reader.history(phase="train", upto=run.release, names=["loss"], points=2048)
    assert len(columns["loss"]) <= 2048
    assert np.isfinite(columns["loss"]).all()
    assert len(text) < 200_000
