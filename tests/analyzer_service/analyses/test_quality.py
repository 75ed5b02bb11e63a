import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.quality import mse, psnr, ssim


def skimage_ssim(x, y):
    return structural_similarity(
        np.asarray(x, dtype=np.float64),
        np.asarray(y, dtype=np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1 if x.ndim == 3 else None,
    )


def tissue_like(shape, *, seed):
    """An image with texture and a blank region."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.random(shape), (0, 0), 1.5)
    image = (image - image.min()) / max(np.ptp(image), 1e-9)
    image[: shape[0] // 3, : shape[1] // 2] = 0.95
    return image


def pair(shape, *, seed=0):
    x = tissue_like(shape, seed=seed)
    noise = np.random.default_rng(seed + 1).normal(0, 0.05, shape)
    return x, np.clip(x + noise, 0, 1)


def blocks(shape, *, seed):
    """Few levels in large blocks: where float32 would cancel."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 4, *shape[2:])).astype(np.uint8)
    return cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_NEAREST) / 255


SHAPES = [(11, 11), (11, 40), (16, 16, 3), (37, 23, 3), (64, 64), (128, 128, 3), (33, 20, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_equals_scikit_images(shape):
    x, y = pair(shape[:2] if shape[2:] == (1,) else shape)
    x, y = x.reshape(shape), y.reshape(shape)
    assert ssim(x, y) == pytest.approx(skimage_ssim(x, y), abs=1e-12)


@pytest.mark.parametrize("channels", [4, 5, 200])  # OpenCV's images end at 128
def test_ssim_equals_scikit_images_of_any_number_of_channels(channels):
    planes = [pair((12, 15), seed=seed) for seed in range(channels)]
    x, y = (np.stack(images, axis=2) for images in zip(*planes, strict=True))
    assert ssim(x, y) == pytest.approx(skimage_ssim(x, y), abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_ssim_equals_scikit_images_on_flat_regions_too(seed):
    x, y = blocks((30, 45, 3), seed=seed), blocks((30, 45, 3), seed=seed + 100)
    assert ssim(x, y) == pytest.approx(skimage_ssim(x, y), abs=1e-11)


@given(a=st.floats(0, 1), b=st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_ssim_of_constant_images_is_their_luminance_term(a, b):
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim(np.full((12, 15), a), np.full((12, 15), b)) == pytest.approx(expected, abs=1e-9)


def test_large_images_are_measured_in_strips_without_a_seam():
    x, y = pair((700, 400))
    assert ssim(x, y) == pytest.approx(skimage_ssim(x, y), abs=1e-12)
    assert ssim(x.T, y.T) == pytest.approx(ssim(x, y), abs=1e-12)


def test_uint8_is_the_same_image_on_another_scale():
    x, y = ((image * 255).astype(np.uint8) for image in pair((40, 50, 3)))
    for measure in (mse, psnr, ssim):
        assert measure(x, y) == pytest.approx(measure(x / 255, y / 255), rel=1e-12)
        assert measure(x, y / 255) == pytest.approx(measure(x, y), rel=1e-12)
        assert measure((x / 255).astype("f4"), y / 255) == pytest.approx(measure(x, y), rel=1e-6)
    assert ssim(x, y) == pytest.approx(skimage_ssim(x / 255, y / 255), abs=1e-12)


@pytest.mark.parametrize("shape", [(5, 7), (16, 16, 3), (3, 3, 5)])
def test_mse_and_psnr_equal_numpy_and_scikit_image(shape):
    rng = np.random.default_rng(3)
    x, y = rng.random(shape), rng.random(shape)
    assert mse(x, y) == pytest.approx(np.mean((x - y) ** 2), rel=1e-12)
    assert psnr(x, y) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1.0), rel=1e-12)
    bytes_x, bytes_y = ((image * 255).astype(np.uint8) for image in (x, y))
    expected = np.mean((bytes_x.astype(float) - bytes_y) ** 2) / 255**2
    assert mse(bytes_x, bytes_y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_equal_images(dtype):
    x = np.random.default_rng(0).integers(0, 2, (20, 20, 3)).astype(dtype)
    assert mse(x, x) == 0
    assert psnr(x, x) == math.inf
    assert ssim(x, x) == pytest.approx(1, abs=1e-12)


def test_black_against_white():
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert mse(black, white) == 1
    assert psnr(black, white) == 0
    assert ssim(black, white) == pytest.approx(1e-4 / (1 + 1e-4), abs=1e-9)


def test_ssim_is_symmetric_and_can_be_negative():
    x, y = pair((24, 24))
    assert ssim(x, y) == pytest.approx(ssim(y, x), abs=1e-12)
    fine = np.random.default_rng(0).random((32, 32))
    assert -1 <= ssim(fine, 1 - fine) < -0.5


@pytest.mark.parametrize("shape", [(10, 64, 3), (64, 10), (1, 1), (0, 0, 3), (20, 20, 0)])
def test_an_image_smaller_than_the_window_has_no_ssim(shape):
    assert math.isnan(ssim(np.zeros(shape), np.zeros(shape)))


@pytest.mark.parametrize("measure", [mse, psnr])
def test_an_image_without_pixels_has_no_error(measure):
    assert math.isnan(measure(np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("measure", [mse, psnr, ssim])
def test_a_value_that_is_not_finite_makes_them_undefined(measure, bad):
    x, y = pair((16, 16))
    y[3, 4] = bad
    assert math.isnan(measure(x, y))
    assert math.isnan(measure(y, y))


@pytest.mark.parametrize("measure", [mse, psnr, ssim])
def test_inputs_may_be_views_and_stay_as_they_are(measure):
    x, y = ((image * 255).astype(np.uint8) for image in pair((40, 36, 3)))
    before = x.copy()
    x.flags.writeable = y.flags.writeable = False
    views = x[::2, ::-1], y[::2, ::-1]
    copies = [np.ascontiguousarray(view) for view in views]
    assert measure(*views) == pytest.approx(measure(*copies), rel=1e-12)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("measure", [mse, psnr, ssim])
@pytest.mark.parametrize(
    ("x", "y", "complaint"),
    [
        (np.zeros((16, 16)), np.zeros((16, 16, 3)), "one shape"),
        (np.zeros(16), np.zeros(16), r"shape \(16,\)"),
        (np.zeros((1, 16, 16, 3)), np.zeros((1, 16, 16, 3)), "expected an image"),
        (np.zeros((16, 16), int), np.zeros((16, 16), int), "int64: convert it"),
        (np.zeros((16, 16), object), np.zeros((16, 16), object), "object: convert it"),
    ],
)
def test_what_is_no_pair_of_images_is_refused(measure, x, y, complaint):
    with pytest.raises(ArrayError, match=complaint):
        measure(x, y)
