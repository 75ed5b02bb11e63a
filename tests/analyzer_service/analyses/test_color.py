import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2gray

from analyzer_service.analyses.arrays import ArrayError, as_rgb
from analyzer_service.analyses.color import color_variance, color_variance_map, luminance
from tests.analyzer_service.analyses.tissue import ODD_SHAPES, colors

SHAPES = [*ODD_SHAPES, (32, 32), (37, 23), (300, 200)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1, 255.0])
def test_variance_is_numpys_over_the_channels(shape, scale):
    image = colors(*shape)
    expected = np.var(image / 255, axis=2)
    given_image = image if scale == 1 else image / scale
    np.testing.assert_allclose(color_variance_map(given_image), expected, atol=1e-15)
    assert color_variance(given_image) == pytest.approx(expected.mean(), abs=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1, 255.0])
def test_luminance_is_scikit_images(shape, scale):
    image = colors(*shape)
    given_image = image if scale == 1 else image / scale
    np.testing.assert_allclose(luminance(given_image), rgb2gray(image), atol=1e-15)


@given(seed=st.integers(0, 10**6), shape=st.sampled_from(SHAPES[:7]))
@settings(deadline=None, max_examples=40)
def test_the_map_has_the_mean_that_the_number_is(seed, shape):
    image = colors(*shape, seed=seed)
    assert color_variance_map(image).mean() == pytest.approx(color_variance(image), abs=1e-15)


def test_variance_of_8_bit_colors_is_rounded_once():
    one = np.array([[[255, 0, 0]]], dtype=np.uint8)
    assert color_variance(one) == color_variance_map(one)[0, 0] == 2 / 9
    image = np.repeat(one, 10**6, axis=1)
    assert color_variance(image) == 2 / 9


@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_a_gray_image_has_no_variance_and_is_its_own_luminance(value, shape):
    image = np.full(shape, value, dtype=np.uint8)
    assert color_variance(image) == 0
    assert (color_variance_map(image) == 0).all()
    np.testing.assert_array_equal(luminance(image), np.full((5, 4), value / 255))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_makes_undefined_what_it_touches(bad):
    image = colors(16, 16) / 255
    image[3, 4, 1] = image[5, 6, 2] = bad
    expected = np.isfinite(image).all(axis=2)
    assert math.isnan(color_variance(image))
    np.testing.assert_array_equal(~np.isnan(color_variance_map(image)), expected)
    np.testing.assert_array_equal(~np.isnan(luminance(image)), expected)


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0)])
def test_an_image_without_pixels(shape):
    assert math.isnan(color_variance(np.zeros(shape)))
    assert color_variance_map(np.zeros(shape)).shape == shape[:2]
    assert luminance(np.zeros(shape, np.uint8)).shape == shape[:2]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8"])
def test_other_floats_are_the_same_image(dtype):
    image = colors(8, 8) / 255
    assert color_variance(image.astype(dtype)) == pytest.approx(color_variance(image), abs=1e-3)


@pytest.mark.parametrize("measure", [color_variance, color_variance_map, luminance])
def test_inputs_may_be_views_and_stay_as_they_are(measure):
    image = colors(40, 36)
    before = image.copy()
    image.flags.writeable = False
    view = image[::2, ::-1]
    np.testing.assert_array_equal(measure(view), measure(np.ascontiguousarray(view)))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 4)), r"\(H, W, 3\) in RGB"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros(4), "expected an image"),
        (np.zeros((1, 4, 4, 3)), "expected an image"),
        (np.zeros((4, 4, 3), int), "int64: convert it"),
    ],
)
@pytest.mark.parametrize("measure", [color_variance, color_variance_map, luminance, as_rgb])
def test_what_is_no_rgb_image_is_refused(measure, image, complaint):
    with pytest.raises(ArrayError, match=complaint):
        measure(image)


def test_an_rgb_image_is_not_copied():
    image = colors(4, 4)
    assert as_rgb(image) is image
    assert as_rgb(image[..., 0]).shape == (4, 4, 3)
