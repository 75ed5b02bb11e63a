"""Runs side by side: every difference of settings, numbers that numpy and scipy give, too."""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from analyzer_service.compare import Comparison, compare_runs
from analyzer_service.compare.printing import as_markdown, as_page, show
from analyzer_service.compare.results import paired
from analyzer_service.compare.sides import read_side
from shared.errors import ConfigurationError
from shared.messages import Layer
from tests.analyzer_service.html.documents import read
from tests.analyzer_service.sinks.runs import RunWriter, write_run

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    def make_run(name: str, *, folder: str | None = None, **options: object) -> Path:
        run = write_run(tmp_path / (folder or name), run_name=name, **options)  # type: ignore[arg-type]
        run.end()
        run.close()
        return run.folder

    return make_run


def rows(comparison: Comparison, title: str) -> dict[str, list[str]]:
    (table,) = [table for table in comparison.tables if table.title == title]
    return {row[0]: row[1:] for row in table.rows}


def shown(comparison: Comparison, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_settings_that_differ_come_first_and_no_others(make: Make) -> None:
    a = make("a", config={"lr": 1e-3, "model": {"depth": 3, "kan": True}, "run_name": "a"})
    config = {"lr": 1e-2, "model": {"depth": 4, "kan": True}, "run_name": "b", "new": [1, None]}
    b = make("b", config=config, device="cuda:0", layers=(Layer(name="g", kind="attention"),))

    comparison = compare_runs([a, b])

    assert comparison.tables[0].title == "Settings that differ"
    found = rows(comparison, "Settings that differ")
    layers = found.pop("layers")
    assert found == {
        "device": ["cpu", "cuda:0"],
        "config.lr": ["0.001", "0.01"],
        "config.model.depth": ["3", "4"],
        "config.new": ["–", "1, none"],
    }
    assert layers[1] == "g (attention)"
    assert "…" in layers[0]  # too long for a cell: its middle is left out
    assert layers[0].endswith("encoder_kan (activation)")


def test_runs_of_the_same_settings_say_so(make: Make) -> None:
    comparison = compare_runs([make("a"), make("b")])

    assert comparison.tables[0].rows == []
    assert comparison.tables[0].words.startswith("No setting differs; ")


def test_last_epochs_are_compared_with_their_numbers(make: Make, tmp_path: Path) -> None:
    a = make("a")
    run = write_run(tmp_path / "b", run_name="b")
    for number in (21, 22, 23):
        run.batch(number, epoch=2, batch_idx=number - 21, loss=float(number))
    run.close()

    comparison = compare_runs([a, run.folder])

    assert rows(comparison, "Runs")["Last epoch"] == ["1", "1"]
    assert rows(comparison, "Runs")["Status"] == ["finished", "running"]
    assert rows(comparison, "Runs")["Its batches, training"] == ["10", "10"]
    loss = rows(comparison, "Last epoch, over batches")["Training loss"]
    assert loss[0] == loss[1]
    assert loss[0].endswith("(n 10)")
    assert loss[2] == "0"


def test_without_an_ended_epoch_the_last_one_with_rows_speaks(tmp_path: Path, make: Make) -> None:
    run = RunWriter(tmp_path / "b", run_name="b")
    for number in (1, 2, 3):
        run.batch(number, epoch=0, batch_idx=number - 1, loss=float(number))
    run.close()

    found = rows(compare_runs([make("a"), run.folder]), "Runs")["Last epoch"]
    loss = rows(compare_runs([run.folder, make("c")]), "Last epoch, over batches")["Training loss"]

    assert found == ["1", "0, not ended"]
    assert loss[0] == "2.00 ± 1.0 (n 3)"


def test_differences_over_shared_tiles_are_paired(tmp_path: Path) -> None:
    """Against scipy's paired t test: the bootstrap's interval is near its interval."""
    gaps = np.random.default_rng(0).normal(0.05, 0.02, 40)
    folders = []
    for name, add in (("a", 0.0), ("b", 1.0)):
        run = RunWriter(tmp_path / name, run_name=name)
        for i, gap in enumerate(gaps):
            ssim = math.sin(i) + add * float(gap)  # tiles differ far more than runs do
            run.batch(i + 1, phase="val", epoch=0, batch_idx=i, part={"ssim": ssim})
        run.close()
        folders.append(run.folder)

    found = paired(read_side(folders[0]), read_side(folders[1]), "ssim")

    # Two tiles of each batch have the same value here.
    both = np.repeat(gaps, 2)
    expected = stats.ttest_1samp(both, 0).confidence_interval()
    assert found is not None
    assert (found.n, found.across_slides) == (80, False)
    assert found.mean == pytest.approx(both.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)
    text = rows(compare_runs(folders), "Last epoch, over validation tiles")["SSIM"][2]
    assert text.startswith("+0.0488 (+0.045")
    assert text.endswith("; 80 shared tiles)")


def test_other_tiles_have_no_interval(tmp_path: Path) -> None:
    folders = []
    for name, first in (("a", 1), ("b", 101)):
        run = RunWriter(tmp_path / name, run_name=name)
        for i in range(10):
            run.batch(first + i, phase="val", epoch=0, batch_idx=i)
        run.close()
        folders.append(run.folder)

    table = rows(compare_runs(folders), "Last epoch, over validation tiles")

    assert table["SSIM"][0].endswith("(n 20)")
    assert table["SSIM"][2] == "–"


def test_a_run_without_rows_compares_as_nothing(tmp_path: Path, make: Make) -> None:
    run = RunWriter(tmp_path / "b", run_name="b")
    run.close()

    comparison = compare_runs([make("a"), run.folder])

    assert rows(comparison, "Runs")["Last epoch"] == ["1", "none"]
    assert rows(comparison, "Last epoch, over batches")["Training loss"][1:] == ["–", "–"]
    assert "nan" not in shown(comparison)


def test_three_runs_differ_from_the_first(make: Make) -> None:
    comparison = compare_runs([make("a"), make("b"), make("a", folder="again")])

    (table,) = [t for t in comparison.tables if t.title == "Last epoch, over batches"]
    assert table.header == ["", "a (1)", "b", "b − a (1)", "a (2)", "a (2) − a (1)"]


def test_text_from_outside_is_neither_markup_nor_markdown(make: Make) -> None:
    hostile = "[red]x[/red] |`<script>*"
    comparison = compare_runs([make("a"), make("b", config={hostile: hostile})])

    assert hostile in shown(comparison)
    line = next(line for line in as_markdown(comparison).splitlines() if "script" in line)
    assert line.count(" | ") == 2  # cells are not broken
    assert "`config.[red]x[/red] \\|'<script>*`" in line


def test_markdown_has_what_the_terminal_has(make: Make) -> None:
    comparison = compare_runs([make("a"), make("b", device="cuda:0")])

    text = as_markdown(comparison)
    for table in comparison.tables:
        assert f"## {table.title}" in text
        for row in table.rows:
            assert all(cell in text for cell in row)
    assert text.splitlines()[0] == "# Runs compared: a, b"


def test_the_page_stands_alone_and_says_the_same(make: Make) -> None:
    hostile = "<script>alert(1)</script> ![x](http://example.org/x.png)"
    comparison = compare_runs([make("a"), make("b", config={"x": hostile})])

    page = read(as_page(comparison))

    assert page.loads() == []
    assert page.named("script") == page.named("img") == []
    assert page.texts["h2"] == [table.title for table in comparison.tables]
    said = page.texts["body"][0].replace("\N{NO-BREAK SPACE}", " ")
    for table in comparison.tables:
        assert all(" ".join(cell.split()) in said for row in table.rows for cell in row)


def test_one_run_is_not_enough(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="at least two runs"):
        compare_runs([make("a")])


def test_runs_are_only_read(make: Make) -> None:
    folders = [make("a"), make("b")]
    before = [(folder / "metrics.sqlite").read_bytes() for folder in folders]

    compare_runs(folders)

    assert [(folder / "metrics.sqlite").read_bytes() for folder in folders] == before
