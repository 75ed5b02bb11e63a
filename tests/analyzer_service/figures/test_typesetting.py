import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from analyzer_service.figures.glyphs import PHASES, glyph
from analyzer_service.figures.typesetting import line_width, set_line

FONTS = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans"
TEXTS = ("AVATAR To", "Sparsity", "immunohistochemistry.png · row 1", "✓ in range", "1,234.5 µm")


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_letters_stand_where_matplotlib_sets_them(text: str, bold: bool) -> None:
    share, width = by_matplotlib(text, 13.5, bold=bold)
    assert line_width(text, 13.5, bold=bold) == pytest.approx(width, abs=0.25)
    ours = set_line(text, 13.5, 0, bold=bold)
    drawn = np.zeros(share.shape, np.float64)
    rows, columns = ours.share.shape
    y, x = 30 + ours.top, 10 + ours.left
    drawn[y : y + rows, x : x + columns] = ours.share
    # Two drawings of one outline, at most a quarter of a pixel apart; blurred, they agree.
    difference = cv2.GaussianBlur(drawn - share, (0, 0), 1.0)
    assert np.abs(difference).max() < 40
    assert drawn.sum() == pytest.approx(share.sum(), rel=0.02)


def by_matplotlib(text: str, pixels: float, *, bold: bool) -> tuple[NDArray[np.float64], float]:
    """Coverage (40, 400) of a line whose pen starts at (10, 30), by Agg's own text; its width."""
    font = FontProperties(fname=f"{FONTS}{'-Bold' if bold else ''}.ttf", size=pixels)
    renderer = RendererAgg(400, 40, 72)
    with matplotlib.rc_context({"text.hinting": "none"}):
        renderer.draw_text(renderer.new_gc(), 10, 30, text, font, 0)
        width, _, _ = renderer.get_text_width_height_descent(text, font, False)
    return np.asarray(renderer.buffer_rgba())[..., 3].astype(np.float64), width


def test_a_phase_moves_the_ink_by_a_quarter_of_a_pixel() -> None:
    centers = [center(glyph("o", 13.5, phase, bold=False)) for phase in range(PHASES)]
    np.testing.assert_allclose(np.diff(centers), 1 / PHASES, atol=0.02)
    whole = set_line("oo", 13.5, 0, bold=False)
    moved = set_line("oo", 13.5, PHASES, bold=False)
    assert moved.left == whole.left + 1
    assert (moved.share == whole.share).all()


def center(ink: object) -> float:
    columns = ink.share.sum(axis=0, dtype=np.float64)  # type: ignore[attr-defined]
    return float(np.average(np.arange(columns.size) + ink.left, weights=columns))  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_a_line_without_ink_has_no_pixels(text: str) -> None:
    assert set_line(text, 13.5, 1, bold=True).share.size == 0
    assert line_width(text, 13.5, bold=True) == pytest.approx(len(text) * 13.5 * 0.348, rel=1e-3)


def test_upright_stems_are_as_bold_as_slanted_ones() -> None:
    # An I is a rectangle: Agg would put it on whole pixels, and make it bolder than its letters.
    stem = glyph("I", 13.5, 0, bold=False).share.sum(dtype=np.float64) / 255
    # By the font: 201 by 1493 units of 2048 to the em.
    assert stem == pytest.approx(201 * 1493 / 2048**2 * 13.5**2, rel=0.02)
