import cv2
import numpy as np
import pytest
import scipy.ndimage

from analyzer_service.analyses import position
from tests.analyzer_service.analyses.maps import blob, noise, smooth

MAPS = [
    noise(32, 32),
    noise(3, 5),
    smooth(9, 33),
    smooth(40, 6, seed=3),
    blob(16, sigma=0.2, row=0.3),
]
DENSITIES = [values / values.sum() for values in MAPS]


@pytest.mark.parametrize("density", DENSITIES)
def test_center_distance_equals_scipys_center_of_mass(density):
    height, width = density.shape
    row, col = scipy.ndimage.center_of_mass(density)
    expected = np.hypot(row - (height - 1) / 2, col - (width - 1) / 2) / (
        np.hypot(height, width) / 2
    )
    assert position.center_distance(density) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("density", DENSITIES)
def test_spatial_variance_equals_opencvs_moments(density):
    height, width = density.shape
    moments = cv2.moments(density)
    spread = (moments["mu20"] + moments["mu02"]) / moments["m00"] + 1 / 6
    expected = spread / ((height**2 + width**2) / 12)
    assert position.spatial_variance(density) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("density", DENSITIES)
def test_radial_distance_equals_a_plain_loop(density):
    height, width = density.shape
    total = sum(
        density[i, j] * np.hypot(i + 0.5 - height / 2, j + 0.5 - width / 2)
        for i in range(height)
        for j in range(width)
    )
    expected = total / (np.hypot(height, width) / 2)
    assert position.radial_distance(density) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (32, 32), (9, 33)])
def test_limits_of_the_uniform_density(shape):
    uniform = np.full(shape, 1 / np.prod(shape))
    assert position.center_distance(uniform) == pytest.approx(0, abs=1e-12)
    assert position.spatial_variance(uniform) == pytest.approx(1, abs=1e-12)
    assert position.radial_distance(uniform) == pytest.approx(
        position.uniform_radial_distance(*shape), abs=1e-12
    )


def test_the_uniform_radial_distance_tends_to_that_of_a_square():
    # mean distance in a unit square from its center: (sqrt(2) + asinh(1)) / 6
    expected = (np.sqrt(2) + np.arcsinh(1)) / 6 / np.sqrt(0.5)
    assert position.uniform_radial_distance(256, 256) == pytest.approx(expected, abs=1e-4)


def test_a_centered_blob_is_at_the_center_and_a_corner_cell_is_far():
    assert position.center_distance(blob(8, sigma=0.2)) == pytest.approx(0, abs=1e-12)
    corner = np.zeros((8, 8))
    corner[0, 0] = 1
    assert position.center_distance(corner) == pytest.approx(7 / 8)
