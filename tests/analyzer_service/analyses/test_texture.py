import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2gray
from skimage.feature import graycomatrix, graycoprops

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.color import luminance
from analyzer_service.analyses.glcm import weighted_offsets
from analyzer_service.analyses.texture import (
    glcm_features,
    glcm_features_of_levels,
    local_glcm,
    local_glcm_of_levels,
    quantize,
    quantize_gray,
)
from tests.analyzer_service.analyses.tissue import (
    ODD_SHAPES,
    SHARED_DATA,
    colors,
    needs_real_tissue,
    read_png,
)

DISTANCES = [1, 2, 3]
ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
NAMES = ["texture_contrast", "texture_homogeneity", "texture_energy"]
CONSTANT = {"texture_contrast": 0, "texture_homogeneity": 1, "texture_energy": 1}


def skimage_features(levels, count, distances=DISTANCES, angles=ANGLES):
    matrix = graycomatrix(levels, distances, angles, levels=count, symmetric=True, normed=True)
    return {name: graycoprops(matrix, name.removeprefix("texture_")).mean() for name in NAMES}


def skimage_local(levels, count, cells, distances=DISTANCES, angles=ANGLES):
    height, width = levels.shape
    grids = {name: np.full((cells, cells), np.nan) for name in NAMES}
    for i in range(cells):
        for j in range(cells):
            rows = slice(i * height // cells, (i + 1) * height // cells)
            columns = slice(j * width // cells, (j + 1) * width // cells)
            cell = np.ascontiguousarray(levels[rows, columns])
            if min(cell.shape) > max(distances):
                for name, value in skimage_features(cell, count, distances, angles).items():
                    grids[name][i, j] = value
    return grids


def draw_levels(shape, count, seed):
    """Levels of a random subset, some alone and some in runs."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(count, size=rng.integers(1, count + 1), replace=False)
    levels = rng.choice(chosen, size=shape)
    levels[:, : shape[1] // 2] = np.repeat(levels[:, : shape[1] // 2], 3, axis=0)[: shape[0]]
    return levels.astype(np.uint8)


def all_nan(features):
    return all(np.isnan(value).all() for value in features.values())


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(4, 50), st.integers(4, 50)),
    count=st.sampled_from([2, 3, 8, 32, 200, 255]),
)
@settings(deadline=None, max_examples=50)
def test_features_are_scikit_images(seed, shape, count):
    levels = draw_levels(shape, count, seed)
    expected = skimage_features(levels, count)
    assert glcm_features_of_levels(levels, levels=count) == pytest.approx(expected, rel=1e-12)


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    cells=st.integers(1, 5),
    count=st.sampled_from([2, 5, 32, 255]),
)
@settings(deadline=None, max_examples=25)
def test_local_features_are_scikit_images_of_each_cell(seed, shape, cells, count):
    levels = draw_levels(shape, count, seed)
    expected = skimage_local(levels, count, cells)
    features = local_glcm_of_levels(levels, cells, levels=count)
    for name in NAMES:
        np.testing.assert_allclose(features[name], expected[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("distances", "angles"),
    [([1], [0]), ([5, 2], ANGLES), ([1.5, 4], [0.3, 2.8]), ([1], [np.pi, 5 * np.pi / 4, -0.7])],
)
def test_other_offsets_are_scikit_images_too(distances, angles):
    levels = draw_levels((40, 33), 16, 3)
    options = {"levels": 16, "distances": distances, "angles": angles}
    expected = skimage_features(levels, 16, distances, angles)
    assert glcm_features_of_levels(levels, **options) == pytest.approx(expected, rel=1e-12)
    grids = skimage_local(levels, 16, 3, distances, angles)
    for name, grid in local_glcm_of_levels(levels, 3, **options).items():
        np.testing.assert_allclose(grid, grids[name], rtol=1e-12)


@needs_real_tissue
@pytest.mark.parametrize("size", [128, 224, 100])
def test_real_tissue_as_scikit_image_quantizes_and_counts_it(size):
    image = read_png(SHARED_DATA / "nuclei" / "tnbc" / "1028.png")[:size, :size]
    levels = np.minimum(np.floor(rgb2gray(image) * 32), 31).astype(np.uint8)
    np.testing.assert_array_equal(quantize(image), levels)
    assert glcm_features(image) == pytest.approx(skimage_features(levels, 32), rel=1e-12)
    expected = skimage_local(levels, 32, 8)
    for name, grid in local_glcm(image).items():
        np.testing.assert_allclose(grid, expected[name], rtol=1e-12, atol=1e-12)


def test_repeated_and_opposite_offsets_are_counted_once():
    offsets = weighted_offsets((1.0, 2.0, 3.0), tuple(ANGLES))
    assert len(offsets) == 10
    assert sum(times for _, _, times in offsets) == 12
    assert weighted_offsets((1.0,), (0.0, np.pi)) == ((0, 1, 2),)
    assert weighted_offsets((1.0,), (np.pi / 6,)) == ((1, 1, 1),)  # a half, away from 0


@given(seed=st.integers(0, 10**6), count=st.sampled_from([2, 16, 32, 64, 255]))
@settings(deadline=None, max_examples=40)
def test_levels_are_whole_number_arithmetic_for_bytes_and_their_floats(seed, count):
    """floor(count * (2125 R + 7154 G + 721 B) / 2550000), in integers."""
    image = np.random.default_rng(seed).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    image[0, :3] = [[0, 0, 0], [255, 255, 255], [200, 200, 200]]
    whole = image.astype(np.int64) @ np.array([2125, 7154, 721])
    expected = np.minimum(count * whole // 2_550_000, count - 1)
    np.testing.assert_array_equal(quantize(image, levels=count), expected)
    np.testing.assert_array_equal(quantize(image / 255, levels=count), expected)
    np.testing.assert_array_equal(quantize_gray(luminance(image), levels=count), expected)


def test_a_gray_on_the_limit_of_a_level_belongs_to_the_upper_one():
    on_limit = [
        (red, green, blue)
        for red in range(256)
        for green in range(0, 256, 5)
        for blue in range(256)
        if (2125 * red + 7154 * green + 721 * blue) % 159375 == 0
    ]
    assert len(on_limit) > 10
    image = np.array([on_limit], dtype=np.uint8)
    expected = np.minimum((image.astype(int) @ np.array([2125, 7154, 721])) * 32 // 2550000, 31)
    np.testing.assert_array_equal(quantize(image), expected)
    np.testing.assert_array_equal(quantize(image / 255), expected)


def test_gray_out_of_range_falls_into_the_outer_levels():
    np.testing.assert_array_equal(quantize(np.array([[-1.0, 2.0, 1.0]])), [[0, 31, 31]])


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("shape", [(4, 4), (40, 33, 3)])
def test_a_constant_tile(value, shape):
    image = np.full(shape, value, np.uint8)
    assert glcm_features(image) == CONSTANT
    grids = local_glcm(image, 1)
    assert {name: grid.item() for name, grid in grids.items()} == CONSTANT


def test_stripes_of_two_levels_by_hand():
    """Columns 0, 31, 0, 31: neighbors across differ by 31, those below are equal."""
    levels = np.tile(np.array([0, 31], np.uint8), (6, 3))
    assert glcm_features_of_levels(levels, distances=[1], angles=[0]) == pytest.approx(
        {
            "texture_contrast": 961,
            "texture_homogeneity": 1 / 962,
            "texture_energy": math.sqrt(0.5),
        }
    )
    below = glcm_features_of_levels(levels, distances=[1], angles=[np.pi / 2])
    assert below["texture_contrast"] == 0
    assert below["texture_energy"] == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("fill", [0, 255, None])
def test_a_tile_without_a_pair_at_some_offset_has_no_texture(shape, fill):
    image = colors(*shape) if fill is None else np.full((*shape, 3), fill, np.uint8)
    if min(shape) > 3:
        assert not all_nan(glcm_features(image))
    else:
        assert all_nan(glcm_features(image))
    assert all_nan(local_glcm(image))
    assert all(grid.shape == (8, 8) for grid in local_glcm(image).values())


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5), (5, 0)])
def test_an_image_without_pixels(shape):
    assert all_nan(glcm_features(np.zeros(shape)))
    assert all_nan(local_glcm(np.zeros(shape)))


def test_cells_too_small_in_one_band_leave_the_others():
    """27 rows in 8 cells are 3 or 4 each."""
    grid = local_glcm(colors(27, 64))["texture_contrast"]
    heights = np.diff(np.arange(9) * 27 // 8)
    np.testing.assert_array_equal(np.isnan(grid).all(axis=1), heights == 3)
    np.testing.assert_array_equal(np.isnan(grid).any(axis=1), heights == 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(64, 64, 3), (67, 61, 3), (64, 64)])
def test_a_pixel_that_is_not_finite_makes_undefined_what_it_touches(bad, shape):
    image = (colors(*shape[:2]) / 255) if len(shape) == 3 else colors(*shape)[..., 0] / 255
    whole = local_glcm(image)
    image[20, 30, ...] = image[21, 31, ...] = bad
    assert (quantize(image) == 255).sum() == 2
    assert all_nan(glcm_features(image))
    touched = np.zeros((8, 8), bool)
    for row, column in ((20, 30), (21, 31)):
        i = np.flatnonzero(np.arange(9) * shape[0] // 8 <= row)[-1]
        j = np.flatnonzero(np.arange(9) * shape[1] // 8 <= column)[-1]
        touched[i, j] = True
    for name, grid in local_glcm(image).items():
        np.testing.assert_allclose(grid, np.where(touched, np.nan, whole[name]), atol=1e-12)


def test_an_image_of_nothing_finite():
    image = np.full((64, 64), np.nan)
    assert all_nan(glcm_features(image))
    assert all_nan(local_glcm(image))


def test_inputs_stay_as_they_are_and_results_repeat():
    image = colors(64, 64)
    image.flags.writeable = False
    levels = quantize(image)
    levels.flags.writeable = False
    for cells in (1, 8, 7):
        first, second = (local_glcm_of_levels(levels, cells) for _ in range(2))
        for name in NAMES:
            np.testing.assert_array_equal(first[name], second[name])
    assert glcm_features_of_levels(levels) == glcm_features(image)


@pytest.mark.parametrize("count", [1, 0, 256])
def test_a_number_of_levels_out_of_range_is_refused(count):
    for measure in (glcm_features, local_glcm, quantize):
        with pytest.raises(ArrayError, match=r"2 to 255 gray levels"):
            measure(colors(8, 8), levels=count)


@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        (np.full((8, 8), 32), "below 32"),
        (np.full((8, 8), -1), "below 32"),
        (np.zeros((8, 8)), "as integers, got float64"),
        (np.zeros((8, 8, 3), np.uint8), r"shape \(8, 8, 3\)"),
    ],
)
def test_what_is_no_array_of_levels_is_refused(levels, complaint):
    for measure in (glcm_features_of_levels, local_glcm_of_levels):
        with pytest.raises(ArrayError, match=complaint):
            measure(levels)


def test_a_grid_without_cells_is_refused():
    with pytest.raises(ArrayError, match="at least one cell"):
        local_glcm(colors(8, 8), 0)
