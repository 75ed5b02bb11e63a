import cv2
import numpy as np
import pytest

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.canvas import Canvas, Stroke
from analyzer_service.figures.glyphs import Coverage

BLACK = np.zeros(3)


def test_a_box_fills_the_pixels_whose_centers_it_holds() -> None:
    canvas = Canvas(8, 6)
    canvas.fill(Box(1.6, 2.4, 3.0, 2.0), "#0000ff")
    filled = (canvas.pixels == (0, 0, 255)).all(axis=2)
    assert np.argwhere(filled).tolist() == [[y, x] for y in (2, 3) for x in (2, 3, 4)]


@pytest.mark.parametrize("y", [2.0, 2.5, 3.0, 3.5])
def test_a_line_of_one_pixel_is_one_pixel_wherever_it_lies(y: float) -> None:
    canvas = Canvas(4, 8)
    canvas.fill(Box(0, y, 4, 1), "black")
    assert (canvas.pixels == 0).all(axis=2).sum() == 4


def test_boxes_beyond_the_canvas_are_cut() -> None:
    canvas = Canvas(4, 4)
    canvas.fill(Box(-5, -5, 7, 7), "black")
    canvas.fill(Box(3, 3, 90, 90), "black")
    assert (canvas.pixels == 0).all(axis=2).sum() == 4 + 1


def test_rows_count_from_the_top() -> None:
    canvas = Canvas(9, 9)
    canvas.line(np.array([[0.0, 1.5], [9.0, 1.5]]), Stroke("black", 1.0))
    assert (canvas.pixels[1] == 0).all()
    assert (canvas.pixels[3:] == 255).all()
    canvas.fill_polygon([(0, 9), (9, 9), (0, 5)], "#ff0000")
    assert canvas.pixels[8, 0].tolist() == [255, 0, 0]
    assert canvas.pixels[5, 8].tolist() == [255, 255, 255]


def test_a_line_is_interrupted_where_a_point_is_unknown() -> None:
    canvas = Canvas(30, 9)
    points = np.array([[2, 4.5], [8, 4.5], [np.nan, 4.5], [20, 4.5], [28, 4.5]])
    canvas.line(points, Stroke("black", 1.0, dots=True))
    inked = (canvas.pixels < 255).any(axis=2).any(axis=0)
    assert inked[2:9].all()
    assert not inked[12:17].any()


def test_ink_mixes_with_what_is_under_it() -> None:
    canvas = Canvas(4, 3)
    canvas.fill(Box(0, 0, 4, 3), "#ffffff")
    share = np.array([[0, 51, 255]], np.uint8)
    canvas.ink(Coverage(share, 1, -1), (0, 2), "#000000")
    # By hand: 51 of 255 is a fifth.
    assert canvas.pixels[1, :, 0].tolist() == [255, 255, 204, 0]
    assert (canvas.pixels[[0, 2]] == 255).all()


@pytest.mark.parametrize("at", [(-2, 1), (3, 0), (0, 5), (90, 1), (-90, -90)])
def test_ink_beyond_the_canvas_is_cut(at: tuple[int, int]) -> None:
    canvas = Canvas(4, 3)
    canvas.ink(Coverage(np.full((2, 3), 255, np.uint8), 0, 0), at, "#000000")
    expected = np.zeros((3, 4), bool)
    for row in range(at[1], at[1] + 2):
        for column in range(at[0], at[0] + 3):
            if 0 <= row < 3 and 0 <= column < 4:
                expected[row, column] = True
    assert np.array_equal((canvas.pixels == 0).all(axis=2), expected)


def test_the_png_holds_every_pixel() -> None:
    canvas = Canvas(40, 30)
    noise = np.random.default_rng(0).integers(0, 256, (20, 25, 3)).astype(np.uint8)
    canvas.image(noise, 5, 6)
    decoded = cv2.imdecode(np.frombuffer(canvas.png(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded[..., ::-1], canvas.pixels)
    assert np.array_equal(canvas.pixels[6:26, 5:30], noise)
