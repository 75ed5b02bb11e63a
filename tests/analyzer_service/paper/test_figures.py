"""Figures for a paper: sizes, fonts and colors as asked for; tiles by rank; the same bytes."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from analyzer_service.commit.reader import RunReader
from analyzer_service.paper import files, write_figures
from analyzer_service.paper.reconstruction import error_limit, reconstruction_figure
from analyzer_service.paper.style import journal_style
from analyzer_service.paper.tiles import ShownTile, kept_tiles, spread
from analyzer_service.pipeline import Calls, PipelineSettings
from analyzer_service.workers import InlineWorkers
from shared.errors import SinkError
from shared.messages import Sample
from tests.analyzer_service.pipeline.driving import run_whole
from tests.analyzer_service.sinks.runs import GATE_METRICS, LAYERS, RunWriter, write_run
from tests.analyzer_service.sinks.tissue_runs import validated

SETTINGS = PipelineSettings(end_grace_s=0.0, calls=Calls())
NAMES = ("reconstruction_quality", "training_progress", "attention_analysis")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real tissue, each frame reconstructed a little darker than the one before."""
    said = validated(batch_idx=0)
    said.frames[:] = [
        frame.model_copy(update={"reconstruction": (frame.input * (1 - 0.1 * i)).astype(np.uint8)})
        for i, frame in enumerate(said.frames)
    ]
    workers = InlineWorkers()
    folder = run_whole(tmp_path_factory.mktemp("run"), workers, said, settings=SETTINGS)
    workers.close()
    return folder


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[Path]:
    return write_figures(folder, release_of(folder))


def release_of(folder: Path) -> int:
    with RunReader(folder) as reader:
        return reader.state().released


def streams(pdf: bytes) -> Iterator[bytes]:
    for found in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            yield zlib.decompress(found)
        except zlib.error:
            continue


def test_every_figure_is_there_in_both_forms_with_its_caption(paths: list[Path]) -> None:
    expected = [f"{name}.{form}" for name in NAMES for form in ("pdf", "png")]

    assert [path.name for path in paths] == [*expected, "captions.md"]
    captions = paths[-1].read_text("utf-8")
    assert all(f"`{name}`" in captions for name in NAMES)
    assert "among 24 tiles whose images were kept" in captions
    assert "mean over 24 validation tiles" in captions


def test_pictures_are_two_columns_wide_at_300_dpi(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == pytest.approx(180 / 25.4 * 300, abs=1)
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        elif path.suffix == ".pdf":
            (box,) = re.findall(rb"/MediaBox \[ ?([^\]]*)\]", path.read_bytes())
            assert float(box.split()[2]) == pytest.approx(180 / 25.4 * 72, abs=0.1)


def test_text_in_the_pdf_stays_text_in_truetype(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix == ".pdf":
            raw = path.read_bytes()
            assert b"/FontFile2" in raw
            assert b"/Type3" not in raw
            assert any(
                b" Tf" in part and b"Tj" in part.upper().replace(b"TJ", b"Tj")
                for part in streams(raw)
            )


def test_letters_are_of_7_to_8_points(folder: Path) -> None:
    with RunReader(folder) as reader, journal_style():
        drawn = files._figures(reader, release_of(folder))
        for name, (figure, _) in drawn.items():
            sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}  # type: ignore[attr-defined]
            assert sizes <= {7.0, 8.0}, name


def test_the_same_run_gives_the_same_bytes(folder: Path, paths: list[Path]) -> None:
    before = {path: path.read_bytes() for path in paths}

    again = write_figures(folder, release_of(folder))

    assert {path: path.read_bytes() for path in again} == before


def test_tiles_run_from_the_worst_to_the_best(folder: Path) -> None:
    with RunReader(folder) as reader:
        kept = kept_tiles(reader, release_of(folder))
        ssim = {row.sample: row.values["ssim"] for row in reader.sample_values(phase="val")}

    assert len(kept) == 24
    assert [tile.ssim for tile in kept] == sorted(ssim[tile.sample] for tile in kept)
    shown = spread(kept, 5)
    assert [kept.index(tile) for tile in shown] == [0, 6, 12, 17, 23]
    assert spread(kept[:2], 5) == kept[:2]
    assert spread([], 5) == []


def tile(error: int = 0, ssim: float = 1.0, mpp: float | None = None) -> ShownTile:
    image = np.full((64, 64, 3), 200, np.uint8)
    darker = (image - error).astype(np.uint8)
    return ShownTile(Sample(id="a", mpp=mpp), "val", 0, image, darker, {}, ssim)


def test_errors_are_shares_on_a_round_scale() -> None:
    assert tile(51).error == pytest.approx(np.full((64, 64), 0.2))
    assert error_limit([tile(51), tile(5)]) == 0.25
    assert error_limit([tile(0)]) == 0.05
    assert error_limit([tile(200)]) == 1.0


def test_the_scale_bar_has_its_length() -> None:
    with journal_style():
        figure = reconstruction_figure([tile(mpp=0.5)], None)
        bars = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
        (words,) = figure.axes[0].texts

    assert words.get_text() == "5 µm"
    assert bars[0].get_width() == pytest.approx(5 / 0.5)


def test_no_scale_bar_without_a_pixel_size() -> None:
    with journal_style():
        figure = reconstruction_figure([tile(ssim=float("nan"))], None)

    assert not figure.axes[0].texts
    assert "SSIM undefined" in [axes.get_title() for axes in figure.axes]


def test_without_frames_the_curves_are_there(tmp_path: Path) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    run.close()

    names = [path.name for path in write_figures(run.folder, run.release)]

    assert names == [
        *("training_progress.pdf", "training_progress.png"),
        *("attention_analysis.pdf", "attention_analysis.png"),
        "captions.md",
    ]


def test_without_rows_there_is_nothing_to_draw(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.close()

    assert [path.name for path in write_figures(run.folder, 0)] == ["captions.md"]


def test_values_that_cannot_be_drawn_are_left_out(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    for i, loss in enumerate((float("nan"), float("inf"), -1.0, 1e300)):
        run.batch(i + 1, loss=loss)
    run.close()

    assert len(write_figures(run.folder, run.release)) == 5


def test_what_is_undefined_in_part_is_said_in_its_panel(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.batch(1, loss=float("nan"))
    run.close()

    with RunReader(run.folder) as reader, journal_style():
        figure, _ = files._figures(reader, run.release)["training_progress"]
        loss, ssim, _ = figure.axes
        assert [text.get_text() for text in loss.texts] == ["no values"]
        assert ssim.get_legend() is not None
        assert loss.get_legend() is None


def test_what_is_undefined_throughout_has_no_figure(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    names = [f"attention_{layer}_{key}" for layer in LAYERS for key in GATE_METRICS]
    part = dict.fromkeys(["ssim", "psnr", *names], float("nan"))
    run.batch(1, loss=float("nan"), part=part)
    run.close()

    assert [path.name for path in write_figures(run.folder, run.release)] == ["captions.md"]


def test_rows_after_the_position_are_left_out(folder: Path) -> None:
    with RunReader(folder) as reader:
        shown = [record.release for record in reader.dashboards() if record.phase == "val"]
        first = kept_tiles(reader, min(shown))

    assert len(shown) > 1
    assert {tile.phase for tile in first} == {"val"}
    assert len(first) == 24 // len(shown)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.close()
    (run.folder / "paper_figures").write_text("a file")

    with pytest.raises(SinkError, match=r"cannot make .*paper_figures: File exists"):
        write_figures(run.folder, 0)


def test_users_own_settings_change_nothing() -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 20.0, "axes.grid": True}):
        with journal_style():
            assert matplotlib.rcParams["font.size"] == 7.0
            assert matplotlib.rcParams["axes.grid"] is False
        assert matplotlib.rcParams["font.size"] == 20.0
