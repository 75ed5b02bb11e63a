import numpy as np
import pytest

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.optical_density import (
    SUM_OF_CHANNELS,
    as_white,
    mixed_density,
    optical_density,
    tissue_mask,
    total_density,
)
from tests.analyzer_service.analyses.tissue import ODD_SHAPES, colors

EVERY_VALUE = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
WHITES = [None, 1.0, 0.8, (0.9, 0.8, 0.95)]


def by_definition(image, white):
    intensity = image / 255 if image.dtype == np.uint8 else image
    white = 1.0 if white is None else np.array(white)
    return -np.log10(np.maximum(intensity, 1e-6) / white)


@pytest.mark.parametrize("white", WHITES)
@pytest.mark.parametrize("scale", [1, 255.0])
def test_every_value_has_the_density_of_the_definition(white, scale):
    image = EVERY_VALUE if scale == 1 else EVERY_VALUE / scale
    np.testing.assert_allclose(
        optical_density(image, white=white), by_definition(EVERY_VALUE, white), atol=1e-14
    )


@pytest.mark.parametrize("white", WHITES)
@pytest.mark.parametrize("shape", [*ODD_SHAPES, (300, 200)])
def test_sums_in_strips_are_sums_of_the_whole(white, shape):
    image = colors(*shape)
    density = optical_density(image, white=white)
    expected = density.sum(axis=2)
    np.testing.assert_allclose(total_density(density), expected, atol=1e-14)
    for same in (image, image / 255):
        summed = mixed_density(same, SUM_OF_CHANNELS, white=white)
        np.testing.assert_allclose(summed, expected, atol=1e-14)
    np.testing.assert_array_equal(tissue_mask(image, white=white), expected > 0.15)


def test_white_has_a_plain_zero_and_black_six():
    density = optical_density(np.array([[255, 0]], dtype=np.uint8))
    np.testing.assert_array_equal(density[0, :, 0], [0, 6])
    assert not np.signbit(density[0, 0]).any()
    assert not tissue_mask(np.full((3, 3), 255, np.uint8)).any()
    assert tissue_mask(np.zeros((3, 3), np.uint8)).all()


def test_a_tinted_background_has_no_density_once_its_color_is_known():
    tint = (0.72, 0.65, 0.83)
    image = np.full((4, 4, 3), tint)
    assert tissue_mask(image).all()
    assert not tissue_mask(image, white=tint).any()
    np.testing.assert_allclose(optical_density(image, white=tint), 0, atol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_has_no_density_and_is_no_tissue(bad):
    image = np.full((4, 5, 3), 0.1)
    image[1, 2, 0] = bad
    density = optical_density(image)
    np.testing.assert_array_equal(np.argwhere(np.isnan(density)), [[1, 2, 0]])
    np.testing.assert_array_equal(np.argwhere(np.isnan(total_density(density))), [[1, 2]])
    np.testing.assert_array_equal(np.argwhere(~tissue_mask(image)), [[1, 2]])


def test_floats_out_of_range_are_taken_as_they_are():
    np.testing.assert_allclose(
        optical_density(np.array([[10.0, -3.0]]))[0, :, 0], [-1, 6], atol=1e-15
    )


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0)])
def test_an_image_without_pixels(shape):
    density = optical_density(np.zeros(shape, np.uint8))
    assert density.shape == (*shape[:2], 3)
    assert total_density(density).shape == tissue_mask(np.zeros(shape)).shape == shape[:2]


def test_an_unknown_white_point_leaves_nothing_known():
    for image in (np.zeros((2, 2), np.uint8), np.zeros((2, 2))):
        assert np.isnan(optical_density(image, white=[np.nan] * 3)).all()
    assert np.isnan(as_white([0.5, np.nan, 1.0])[1])


@pytest.mark.parametrize("white", [0.0, -1, 240, (1, 1), (1, 1, 1, 1), "white", (1, 0, 1), np.inf])
def test_what_is_no_white_point_is_refused(white):
    with pytest.raises(ArrayError, match="white point"):
        optical_density(np.zeros((2, 2)), white=white)
