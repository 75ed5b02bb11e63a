import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import disk

from analyzer_service.figures.outlines import ON_ATTENTION, ON_TISSUE, outlined, outlines
from tests.analyzer_service.figures.cases import nuclei, tissue


def discs(*places: tuple[int, int], size: int = 64, radius: int = 9) -> NDArray[np.int32]:
    labels = np.zeros((size, size), np.int32)
    for number, place in enumerate(places, start=1):
        labels[disk(place, radius, shape=labels.shape)] = number
    return labels


def lines(labels: NDArray[np.int32]) -> list[NDArray[np.float64]]:
    points = outlines(labels)
    ends = np.flatnonzero(np.isnan(points[:, 0]))
    return [part[:-1] for part in np.split(points, ends + 1) if len(part)]


def test_an_outline_runs_along_the_outer_edge_and_closes() -> None:
    (line,) = lines(discs((30, 20)))
    assert (line[0] == line[-1]).all()
    distance = np.hypot(line[:, 0] - 20.5, line[:, 1] - 30.5)
    # By hand: a disc of radius 9, its pixels those whose centers are less than 9 away.
    assert ((distance > 8.25) & (distance < 9.25)).all()
    turns = np.unwrap(np.arctan2(line[:, 1] - 30.5, line[:, 0] - 20.5))
    assert abs(turns[-1] - turns[0]) == pytest.approx(2 * np.pi)


def test_a_hole_is_outlined_at_its_own_edge() -> None:
    labels = discs((32, 32), radius=20)
    labels[disk((32, 32), 9)] = 0
    distances = sorted(np.hypot(*(line - 32.5).T).mean() for line in lines(labels))
    assert distances == pytest.approx([8.8, 19.8], abs=0.4)


def test_touching_nuclei_have_a_line_each() -> None:
    labels = discs((30, 20), (30, 34))
    assert {1, 2} <= set(labels[30].tolist())
    assert len(lines(labels)) == 2


def test_what_lies_away_from_an_outline_keeps_its_colors() -> None:
    image = np.ascontiguousarray(tissue()[:192, :192])
    shown = outlined(image, discs((32, 32)), ON_TISSUE)
    rows, columns = np.mgrid[:192, :192] + 0.5
    distance = np.abs(np.hypot(rows - 97.5, columns - 97.5) - 8.8 * 3)
    assert (shown[distance > 5] == image[distance > 5]).all()
    changed = (shown != image).any(axis=2)
    assert changed[distance < 1].mean() > 0.9
    # A perimeter of 160 px, not 4 px wide.
    assert changed.sum() < 160 * 4


@pytest.mark.parametrize("ground", ["#f2b8d0", "#7a4fa0", "#8a4a18", "#ffffff", "#20103a"])
def test_outlines_show_on_pink_purple_brown_white_and_dark(ground: str) -> None:
    rgb = [int(ground[at : at + 2], 16) for at in (1, 3, 5)]
    image = np.full((192, 192, 3), rgb, np.uint8)
    for color in (ON_TISSUE, ON_ATTENTION):
        shown = outlined(image, discs((32, 32)), color)
        # Luminance alone, as who sees no hues: the line or its dark sides stand out.
        gray = shown @ np.array([0.2125, 0.7154, 0.0721])
        assert np.ptp(gray) > 60


def test_equal_labels_give_equal_pixels_and_the_image_stays_as_it_was() -> None:
    image = np.ascontiguousarray(tissue()[:128, :128])
    before = image.copy()
    assert (outlined(image, nuclei(), ON_TISSUE) == outlined(image, nuclei(), ON_TISSUE)).all()
    assert (image == before).all()


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((16, 16), np.int32),
        np.ones((16, 16), np.int32),
        np.eye(16, dtype=np.int32),
        np.ones((1, 1), np.int32),
        np.arange(256, dtype=np.int32).reshape(16, 16) * 1000,
        np.full((600, 37), 2**31 - 1, np.int32),
    ],
)
def test_any_labels_can_be_drawn(labels: NDArray[np.int32]) -> None:
    image = np.full((96, 80, 3), 200, np.uint8)
    assert outlined(image, labels, ON_TISSUE).shape == (96, 80, 3)


def test_no_nuclei_leave_the_image_as_it_is() -> None:
    image = np.ascontiguousarray(tissue()[:64, :64])
    assert (outlined(image, np.zeros((8, 8), np.int32), ON_TISSUE) == image).all()
