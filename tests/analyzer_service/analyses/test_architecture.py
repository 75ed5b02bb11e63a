import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.morphology import disk, opening

from analyzer_service.analyses.architecture import (
    architecture_features,
    architecture_from,
    edge_mask,
    white_mask,
)
from analyzer_service.analyses.color import luminance
from analyzer_service.analyses.optical_density import optical_density, total_density
from tests.analyzer_service.analyses.tissue import (
    ODD_SHAPES,
    SHARED_DATA,
    colors,
    needs_real_tissue,
    read_png,
)


def by_scikit_image(image):
    absorbed = -np.log10(np.maximum(image / 255, 1e-6)).sum(axis=2)
    return {
        "white_fraction": opening(absorbed <= 0.15, disk(2), mode="ignore").mean(),
        "edge_density_experimental": (sobel(rgb2gray(image)) > 0.1).mean(),
    }


@given(seed=st.integers(0, 10**6), shape=st.sampled_from([*ODD_SHAPES, (5, 9), (40, 30)]))
@settings(deadline=None, max_examples=60)
def test_features_are_scikit_images(seed, shape):
    image = colors(*shape, seed=seed)
    expected = by_scikit_image(image)
    assert architecture_features(image) == pytest.approx(expected)
    assert architecture_features(image / 255) == pytest.approx(expected)


@needs_real_tissue
@pytest.mark.parametrize("name", ["1022", "1028"])
def test_features_of_real_tissue_are_scikit_images(name):
    image = read_png(SHARED_DATA / "nuclei" / "tnbc" / f"{name}.png")
    features = architecture_features(image)
    assert features == pytest.approx(by_scikit_image(image))
    assert 0 < features["white_fraction"] < 1
    assert 0 < features["edge_density_experimental"] < 1


def test_white_is_what_a_disk_fits_into():
    tissue = np.full((20, 20), 0.5)
    tissue[:, 3] = tissue[3:7, 3:7] = 0.0  # a crack and a hole of 4 x 4
    assert not white_mask(tissue).any()
    tissue[10:15, 10:15] = 0.0
    found = white_mask(tissue)
    assert found.sum() == 13  # the disk, not the corners of the square
    np.testing.assert_array_equal(found[10:15, 10:15], disk(2))


def test_a_disk_may_stick_out_of_the_tile():
    absorbed = np.full((20, 20), 0.5)
    absorbed[:3, :3] = 0.0
    assert white_mask(absorbed)[0, 0]
    assert white_mask(np.zeros((1, 1))).all()


def test_an_edge_is_a_step_of_gray():
    step = np.zeros((10, 12))
    step[:, 6:] = 0.3
    edges = edge_mask(step)
    np.testing.assert_array_equal(np.flatnonzero(edges.all(axis=0)), [5, 6])
    assert edges.sum() == 20
    assert not edge_mask(step / 3).any()


def test_a_tint_is_no_tissue_once_its_color_is_known():
    image = np.full((16, 16, 3), (0.7, 0.65, 0.8))
    assert architecture_features(image)["white_fraction"] == 0
    assert architecture_features(image, white=(0.7, 0.65, 0.8))["white_fraction"] == 1


@pytest.mark.parametrize("shape", [*ODD_SHAPES, (33, 20)])
@pytest.mark.parametrize(("fill", "white"), [(0, 0.0), (255, 1.0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_blank_and_saturated_tiles(shape, fill, white, dtype):
    image = np.full((*shape, 3), fill if dtype == np.uint8 else fill / 255, dtype)
    expected = {"white_fraction": white, "edge_density_experimental": 0.0}
    assert architecture_features(image) == expected
    assert architecture_features(image[..., 0]) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(12, 12), (12, 12, 3)])
def test_a_pixel_that_is_not_finite_leaves_nothing_known(bad, shape):
    image = np.full(shape, 0.5)
    image[3, 4, ...] = bad
    assert all(math.isnan(value) for value in architecture_features(image).values())


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5), (5, 0)])
def test_an_image_without_pixels(shape):
    assert all(math.isnan(value) for value in architecture_features(np.zeros(shape)).values())


def test_features_can_be_had_of_what_is_there_already():
    image = colors(30, 40)
    absorbed = total_density(optical_density(image))
    assert architecture_from(absorbed, luminance(image)) == architecture_features(image)
