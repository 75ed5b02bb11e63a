import numpy as np
import pytest

from analyzer_service.analyses.white_point import white_point
from tests.analyzer_service.analyses.tissue import (
    EOSIN,
    HEMATOXYLIN,
    SHARED_DATA,
    mixture,
    needs_real_tissue,
    read_png,
    stained,
)

LILAC = (0.72, 0.65, 0.83)


def tile(*, glass, white=LILAC, noise=0.0):
    """Tissue of which a share of rows is empty glass."""
    amounts = mixture(100, 50)
    amounts[: round(100 * glass)] = 0
    image = stained(amounts, [HEMATOXYLIN, EOSIN], white=white)
    return image + np.random.default_rng(0).normal(0, noise, image.shape)


@pytest.mark.parametrize("glass", [0.06, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("white", [LILAC, (1.0, 1.0, 1.0), (0.86, 0.85, 0.87)])
def test_the_color_of_glass_is_found_however_little_is_seen(glass, white):
    image = tile(glass=glass, white=white)
    np.testing.assert_allclose(white_point(image), white, atol=1e-12)
    eight_bits = (255 * image).round().astype(np.uint8)
    np.testing.assert_allclose(white_point(eight_bits), white, atol=0.5 / 255)


def test_noise_moves_it_by_little():
    np.testing.assert_allclose(white_point(tile(glass=0.5, noise=0.01)), LILAC, atol=0.02)


def test_a_few_specular_pixels_do_not_move_it():
    image = tile(glass=0.5)
    image[10, :20] = 1.0
    np.testing.assert_allclose(white_point(image), LILAC, atol=1e-12)


@pytest.mark.parametrize(
    "image",
    [
        tile(glass=0.0),
        np.zeros((9, 9), np.uint8),
        np.full((9, 9), 0.5),
        np.zeros((0, 4, 3)),
        np.full((4, 4), np.nan),
        np.where(np.eye(9) > 0, np.inf, 1.0),
    ],
)
def test_where_no_glass_is_seen_there_is_no_white_point(image):
    assert np.isnan(white_point(image)).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7, 3)])
def test_tiny_and_white_tiles_are_white(shape):
    np.testing.assert_array_equal(white_point(np.full(shape, 255, np.uint8)), [1, 1, 1])
    np.testing.assert_array_equal(white_point(np.full(shape, 1.5)), [1, 1, 1])


def test_pixels_of_many_tiles_can_be_pooled_in_any_order():
    tiles = [tile(glass=share) for share in (0.0, 0.0, 0.4)]
    pool = np.concatenate([image.reshape(-1, 1, 3) for image in tiles])
    np.testing.assert_allclose(white_point(pool), LILAC, atol=1e-12)
    np.testing.assert_array_equal(white_point(pool), white_point(pool[::-1]))


@needs_real_tissue
@pytest.mark.parametrize(
    ("name", "white"),
    [
        ("dsb2018/0bf33d3d.png", (183, 165, 211)),  # lilac glass
        ("dsb2018/5d75a639.png", (219, 219, 224)),  # gray glass
        ("tnbc/1022.png", (228, 230, 234)),
    ],
)
def test_glass_of_real_slides(name, white):
    """By eye: the color between the cells."""
    found = 255 * white_point(read_png(SHARED_DATA / "nuclei" / name))
    np.testing.assert_allclose(found, white, atol=4)
