from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from analyzer_service.alerts.good_ranges import good_ranges
from analyzer_service.alerts.settings import RangeSettings
from analyzer_service.figures.boxes import Box
from analyzer_service.figures.colormaps import ATTENTION_COLORS, color_table
from analyzer_service.figures.dashboard import DashboardData, draw_sheet, render_dashboard
from analyzer_service.figures.data import TileQuality
from analyzer_service.figures.outlines import ON_ATTENTION, ON_TISSUE
from analyzer_service.figures.panels.layout import panel_box
from analyzer_service.figures.sheet import HEIGHT, WIDTH, Picture, Sheet, Written
from analyzer_service.figures.wording import number, with_unit
from shared.messages import Sample
from tests.analyzer_service.figures.cases import frame, normal, row, run
from tests.analyzer_service.figures.hard_cases import CASES

TITLES = ["Original", "Reconstruction", "Error map", "Attention", "Training progress", "Summary"]


def texts(sheet: Sheet) -> list[Written]:
    return [line for line in sheet.written if line.text.strip()]


def words(data: DashboardData) -> list[str]:
    return [line.text for line in texts(draw_sheet(data))]


def image(data: DashboardData, name: str) -> NDArray[np.uint8]:
    found = [part.image for part in draw_sheet(data).pictures if part.name == name]
    assert len(found) == 1
    return found[0]


def pixels(png: bytes) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded)[..., ::-1]


@pytest.mark.parametrize("name", CASES)
def test_every_dashboard_is_a_picture_of_one_size_with_six_titled_panels(name: str) -> None:
    data = CASES[name]()
    assert pixels(render_dashboard(data)).shape == (HEIGHT, WIDTH, 3)
    written = words(data)
    for title in TITLES:
        assert any(text == title or text.startswith(f"{title} · ") for text in written), title


@pytest.mark.parametrize("name", CASES)
def test_no_text_touches_another_or_leaves_the_sheet(name: str) -> None:
    lines = texts(draw_sheet(CASES[name]()))
    sheet = Box(0, 0, WIDTH, HEIGHT)
    assert [line.text for line in lines if not sheet.holds(line.box)] == []
    touching = [
        (one.text, other.text)
        for one, other in combinations(lines, 2)
        if _inner(one.box).overlaps(_inner(other.box))
    ]
    assert touching == []


@pytest.mark.parametrize("name", CASES)
def test_text_stays_in_its_panel_and_off_the_images(name: str) -> None:
    sheet = draw_sheet(CASES[name]())
    panels = [panel_box(*place) for place in np.ndindex(2, 3)]
    panels = [Box(box.x - 1, box.y - 2, box.width + 2, box.height + 4) for box in panels]
    for line in texts(sheet):
        if line.box.bottom > panels[0].y:
            assert any(panel.holds(_inner(line.box)) for panel in panels), line
        if line.lettering.color != "white":
            assert not any(line.box.overlaps(picture.box) for picture in sheet.pictures), line


def test_image_panels_say_which_tile_they_show() -> None:
    caption = "immunohistochemistry.png · row 128, col 256 · 0.5 µm/px"
    assert words(normal()).count(caption) == 4
    unknown = normal(run=run(mpp=None), frame=frame(sample=Sample(id="tile-7")))
    assert words(unknown).count("tile-7 · position unknown · pixel size unknown") == 4


def test_there_is_a_scale_bar_only_when_the_pixel_size_is_known() -> None:
    # A tile of 128 px at 0.5 um/px is 64 um wide; 10 um is the longest round length up to 0.3.
    assert "10 µm" in words(normal())
    unknown = normal(run=run(mpp=None), frame=frame(sample=Sample(id="tile-7")))
    assert "10 µm" not in words(unknown)


def test_images_are_shown_in_their_own_colors() -> None:
    data = normal(run=run(mpp=None), frame=frame(sample=Sample(id="tile-7")))
    assert data.frame is not None
    shown = pixels(render_dashboard(data))
    for column, tile in enumerate((data.frame.input[0], data.frame.reconstruction[0])):
        box = panel_box(0, column)
        y, x = round(box.y) + 46, round(box.x)
        np.testing.assert_array_equal(shown[y : y + 384, x : x + 384][1::3, 1::3], tile)


@pytest.mark.parametrize("mse", [0.000731, 0.00391, 0.25, 8.88e-9])
def test_the_quality_of_the_tile_is_written_in_full(mse: float) -> None:
    written = words(normal(tile=TileQuality(mse=mse, psnr=-10 * np.log10(mse), ssim=0.5)))
    assert number(mse) in written
    assert with_unit(-10 * np.log10(mse), "dB") in written


def test_the_error_map_is_green_where_nothing_is_wrong_and_red_where_much_is() -> None:
    data = normal()
    assert data.frame is not None
    wrong = data.frame.input.copy()
    wrong[:, :, 64:] = np.where(data.frame.input[:, :, 64:] < 128, 255, 0)
    shown = image(
        replace(data, frame=data.frame.model_copy(update={"reconstruction": wrong})), "error"
    )
    right, left = shown[:, 192:].astype(int), shown[:, :192].astype(int)
    assert (left[..., 1] > left[..., 0] + 60).all()
    assert (right[..., 0] > right[..., 1] + 100).all()


def test_attention_is_red_where_it_is_high_and_blue_where_it_is_low() -> None:
    gate = np.full((32, 32), 0.2, np.float32)
    gate[:, :4] = 0.9
    shown = image(normal(frame=frame(gates={"bam_384": gate})), "attention bam_384").astype(int)
    attended, ignored = shown[:, :30], shown[:, 120:]
    assert (attended[..., 0] > attended[..., 2] + 40).all()
    assert (ignored[..., 2] > ignored[..., 0] + 20).all()


def test_the_attention_scale_does_not_depend_on_the_gate() -> None:
    bars = [
        next(part for part in draw_sheet(CASES[name]()).pictures if _is_attention_bar(part))
        for name in ("normal", "big_tile")
    ]
    assert np.array_equal(bars[0].image, bars[1].image)
    for label in ("0  none", "1× uniform", "2×", "3×", "4× strong"):
        assert label in words(normal())


def test_remarks_on_gates_are_written_on_the_map() -> None:
    assert "constant gate: no spatial attention" in words(CASES["constant_gate"]())
    assert "gate is not finite: no attention map" in words(CASES["all_nan"]())
    weak = np.full((32, 32), 0.5, np.float32)
    weak[::2] += 0.008
    written = words(normal(frame=frame(gates={"bam_384": weak})))
    assert "weak: contrast 0.00794, may be noise" in written


def test_the_summary_marks_each_metric_in_or_out_without_needing_color() -> None:
    values = row(attention_sparsity=0.9, num_attention_peaks=0.4, attention_entropy=float("nan"))
    sheet = draw_sheet(normal(row=values))
    assert _mark_beside(sheet, "SSIM") == "✓ in range"
    assert _mark_beside(sheet, "Entropy") == "– undefined"
    assert _mark_beside(sheet, "Sparsity") == "▲ too high"
    assert _mark_beside(sheet, "Peaks") == "▼ too low"
    assert _mark_beside(sheet, "Inference") == "✓ in range"


def test_undefined_is_never_zero() -> None:
    written = words(CASES["all_nan"]())
    assert written.count("undefined") == 8 + 8 + 3 + 7
    assert written.count("– undefined") == 8 + 1


def test_throughput_and_progress() -> None:
    written = words(normal())
    # By hand: 16 tiles in 412.3 + 12.6 ms.
    assert "37.7 tiles/s" in written
    assert "Epoch 3 (4 of 10)" in written
    assert "Step 1,200 of 4,000" in written


def test_the_header_names_run_phase_step_epoch_and_project() -> None:
    written = words(normal())
    assert "ihc-small-2025-11-23" in written
    assert "training" in written
    assert any(
        "step 1,200" in text and "epoch 3" in text and text.endswith("project histopath-kan-auto")
        for text in written
    )
    assert "validation" in words(CASES["validation"]())


def test_a_dropped_frame_is_said_in_every_image_panel() -> None:
    assert words(CASES["dropped"]()).count("frame not received") == 4
    evicted = replace(CASES["dropped"](), row=row(samples=4))
    assert words(evicted).count("images not available") == 4


def test_a_frame_without_any_tile_has_nothing_to_show() -> None:
    none = frame().model_copy(
        update={"samples": (), "input": np.zeros((0, 8, 8, 3), np.uint8), "attention": {}}
    )
    assert words(normal(frame=none, tile=None, row=row(samples=0))).count("frame not received") == 4


def test_layers_beyond_the_fourth_are_counted() -> None:
    gates = {f"layer_{index}": np.eye(8, dtype=np.float32) for index in range(6)}
    assert any(
        text.endswith(" · 2 more layers") for text in words(normal(frame=frame(gates=gates)))
    )


def test_losses_that_are_not_finite_are_counted() -> None:
    assert "not finite at 399 of 1,000 points" in words(CASES["diverged"]())


def test_foreign_text_is_not_read_as_mathematics() -> None:
    assert any(
        text.endswith("project $\\frac{") for text in words(normal(run=run(project="$\\frac{")))
    )


def test_nuclei_are_outlined_on_the_tile_and_its_attention_and_called_approximate() -> None:
    plain, marked = normal(), CASES["outlined"]()
    for name, color in (("original", ON_TISSUE), ("attention bam_384", ON_ATTENTION)):
        changed = (image(plain, name) != image(marked, name)).any(axis=2)
        assert 0.01 < changed.mean() < 0.2
        line = np.array(to_rgb(color)) * 255
        nearest = np.abs(image(marked, name)[changed] - line).max(axis=1).min()
        assert nearest < 25
    for name in ("reconstruction", "error", "attention bam_16"):
        assert (image(plain, name) == image(marked, name)).all()
    assert "approximate" not in words(plain)
    assert words(marked).count("approximate") == 2
    assert str(np.unique(marked.nuclei).size - 1) in words(marked)


def test_a_tile_without_nuclei_says_so() -> None:
    written = words(CASES["blank_tile"]())
    assert "none found" in written
    assert "approximate" not in written
    assert "no tissue in these tiles" in written


def _inner(box: Box) -> Box:
    return Box(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1)


def _is_attention_bar(part: Picture) -> bool:
    lowest = color_table(ATTENTION_COLORS)[0]
    return part.name == "color bar" and bool((part.image[-1, 0] == lowest).all())


def _mark_beside(sheet: Sheet, label: str) -> str:
    panel = panel_box(1, 2)
    beside = [line for line in texts(sheet) if line.x >= panel.x]
    at = next(line.y for line in beside if line.text == label)
    return max((line for line in beside if line.y == at), key=lambda line: line.x).text


def test_alerts_that_go_on_are_one_calm_line() -> None:
    assert not [line for line in words(normal()) if line.startswith("Alerts")]
    alerts = ("memory growing since step 120", "attention constant (bam_384) since step 88")
    line = "Alerts: " + " · ".join(alerts)
    assert line in words(normal(alerts=alerts))


def test_many_alerts_are_counted_where_they_do_not_fit() -> None:
    alerts = tuple(f"attention too concentrated (layer_{i}) since step {i}" for i in range(40))
    (line,) = [text for text in words(normal(alerts=alerts)) if text.startswith("Alerts")]
    shown = line.count("since step")
    assert 3 <= shown < 40
    assert line.endswith(f"{40 - shown} more")


def test_metrics_are_judged_by_the_ranges_that_the_run_was_given() -> None:
    strict = RangeSettings(entropy=(1.0, 1.5), ssim_min=0.99, peaks=(1.0, 30.0))
    data = normal(ranges=good_ranges(strict))
    assert {"1–1.5 nats", "≥ 0.99", "1–30"} <= set(words(data))
    assert "2–4 nats" not in words(data)
    assert render_dashboard(data) != render_dashboard(normal())
