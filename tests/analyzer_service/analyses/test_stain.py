import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import hed2rgb, rgb2hed, separate_stains

from analyzer_service.analyses import stain
from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.stain import STAIN_VECTORS, StainVectors
from analyzer_service.analyses.stain_vectors import unmixing_matrix
from shared.errors import AnalysisError
from tests.analyzer_service.analyses.tissue import (
    DAB,
    EOSIN,
    HEMATOXYLIN,
    ODD_SHAPES,
    STAIN,
    colors,
    mixture,
    needs_real_tissue,
    read_png,
    stained,
)

INTENSITIES = ["hematoxylin_intensity", "eosin_intensity", "tissue_fraction"]


def plain_densities(image, rows):
    """The definition, by numpy."""
    rows = np.array(rows, dtype=float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if len(rows) == 2:
        normal = np.cross(*rows)
        rows = np.vstack([rows, normal / np.linalg.norm(normal)])
    density = -np.log10(np.maximum(image / 255.0, 1e-6))
    return density @ np.linalg.inv(rows), density.sum(axis=2)


@pytest.mark.parametrize("name", sorted(STAIN_VECTORS))
@pytest.mark.parametrize("shape", [*ODD_SHAPES, (37, 23), (300, 200)])
def test_densities_are_those_of_the_definition(name, shape):
    image = colors(*shape)
    expected, total = plain_densities(image, STAIN_VECTORS[name].rows)
    whole = stain.optical_density(image)
    for densities in (
        stain.stain_densities(image, name),
        stain.stain_densities(image / 255, name),
        stain.stain_densities(image, np.array(STAIN_VECTORS[name].rows) * 7),
        stain.unmix(whole, name),
    ):
        assert densities.dtype == np.float64
        np.testing.assert_allclose(densities, expected, atol=1e-12)
    maps = stain.stain_maps(image, name)
    np.testing.assert_allclose(maps[..., :2], expected[..., :2], atol=1e-12)
    np.testing.assert_allclose(maps[..., 2], total, atol=1e-12)


def test_densities_of_three_given_stains_are_scikit_images_up_to_its_unit_and_lengths():
    image = colors(30, 30)
    rows = np.stack([HEMATOXYLIN, EOSIN, DAB])
    theirs = 6 * separate_stains(image, np.linalg.inv(rows))
    np.testing.assert_allclose(
        np.maximum(stain.stain_densities(image, rows), 0), theirs, atol=1e-12
    )


@pytest.mark.parametrize("shape", [*ODD_SHAPES, (64, 50)])
def test_hed_is_scikit_images(shape):
    image = colors(*shape)
    np.testing.assert_allclose(stain.hed(image), rgb2hed(image), atol=1e-14)
    np.testing.assert_allclose(stain.hed(image / 255), rgb2hed(image / 255), atol=1e-14)


@needs_real_tissue
@pytest.mark.parametrize("channel", ["hematoxylin", "eosin", "dab"])
def test_hed_is_what_another_program_stored_of_real_tissue(channel):
    """Its pictures show one stain alone, mixed back to colors."""
    index = ["hematoxylin", "eosin", "dab"].index(channel)
    alone = np.zeros((512, 512, 3))
    alone[..., index] = stain.hed(read_png(STAIN / "tcga-lung-rgb.png"))[..., index]
    stored = read_png(STAIN / f"tcga-lung-rgb-{channel}-channel.png")
    np.testing.assert_array_equal(np.round(255 * hed2rgb(alone)), stored)


@given(first=st.floats(0, 1.2), second=st.floats(0, 1.2), white=st.tuples(*[st.floats(0.5, 1)] * 3))
@settings(deadline=None, max_examples=60)
def test_amounts_that_were_mixed_are_found_again(first, second, white):
    amounts = np.full((2, 3, 2), [first, second])
    image = stained(amounts, [HEMATOXYLIN, EOSIN], white=white)
    found = stain.stain_densities(image, white=white)
    np.testing.assert_allclose(found[..., :2], amounts, atol=1e-12)
    np.testing.assert_allclose(found[..., 2], 0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(STAIN_VECTORS))
def test_intensities_are_means_over_tissue(name):
    image = colors(60, 70)
    densities, total = plain_densities(image, STAIN_VECTORS[name].rows)
    tissue = total > 0.15
    assert 0.1 < tissue.mean() < 0.9
    first, second = STAIN_VECTORS[name].stains
    assert stain.stain_intensities(image, name) == pytest.approx(
        {
            f"{first}_intensity": np.maximum(densities[..., 0], 0)[tissue].mean(),
            f"{second}_intensity": np.maximum(densities[..., 1], 0)[tissue].mean(),
            "tissue_fraction": tissue.mean(),
        },
        rel=1e-12,
    )


def test_intensities_can_be_had_of_what_is_there_already():
    image = colors(60, 70)
    density = stain.optical_density(image)
    total, densities = stain.total_density(density), stain.unmix(density, "qupath_hdab")
    names = STAIN_VECTORS["qupath_hdab"].stains
    assert stain.intensities_from(densities, total, names) == pytest.approx(
        stain.stain_intensities(image, "qupath_hdab"), rel=1e-12
    )


def test_intensities_of_known_amounts():
    amounts = np.zeros((10, 10, 2))
    amounts[:4] = [0.5, 0.25]
    image = stained(amounts, [HEMATOXYLIN, DAB])
    vectors = StainVectors.of([HEMATOXYLIN, DAB], stains=("hematoxylin", "dab"))
    assert stain.stain_intensities(image, vectors) == pytest.approx(
        {"hematoxylin_intensity": 0.5, "dab_intensity": 0.25, "tissue_fraction": 0.4}
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_tile_without_tissue_has_no_intensity(dtype):
    blank = np.full((16, 16, 3), 255 if dtype == np.uint8 else 1, dtype=dtype)
    values = stain.stain_intensities(blank)
    assert values["tissue_fraction"] == 0
    assert math.isnan(values["hematoxylin_intensity"])
    assert math.isnan(values["eosin_intensity"])


def test_a_black_tile_is_all_tissue():
    values = stain.stain_intensities(np.zeros((7, 7), np.uint8))
    expected, _ = plain_densities(np.zeros((1, 1, 3)), STAIN_VECTORS["ruifrok"].rows)
    assert values["tissue_fraction"] == 1
    assert values["hematoxylin_intensity"] == pytest.approx(expected[0, 0, 0])
    assert values["eosin_intensity"] == 0  # a negative amount is cut off


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_makes_undefined_what_it_touches(bad):
    image = colors(16, 16) / 255
    image[3, 4, 1] = bad
    for maps in (stain.stain_densities(image), stain.hed(image), stain.stain_maps(image)):
        np.testing.assert_array_equal(np.argwhere(np.isnan(maps).any(axis=2)), [[3, 4]])
        assert np.isnan(maps[3, 4]).all()
    values = stain.stain_intensities(image)
    assert list(values) == INTENSITIES
    assert all(math.isnan(value) for value in values.values())


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0)])
def test_an_image_without_pixels(shape):
    image = np.zeros(shape, np.uint8)
    assert stain.stain_densities(image).shape == (*shape[:2], 3)
    assert stain.hed(image).shape == (*shape[:2], 3)
    assert all(math.isnan(value) for value in stain.stain_intensities(image).values())


@pytest.mark.parametrize(
    "rows",
    [
        np.full((2, 3), np.nan),
        [[0, 0, 0], [0.07, 0.99, 0.11]],
        [[1, 2, 3], [2, 4, 6]],
        [[1, 0, 0], [0, 1, 0], [1, 1, 0]],
        [[1, 0, np.inf], [0, 1, 0]],
    ],
)
def test_stains_that_cannot_be_told_apart_have_no_densities(rows):
    image = colors(8, 8)
    assert np.isnan(stain.stain_densities(image, rows)).all()
    values = stain.stain_intensities(image, rows)
    assert math.isnan(values["hematoxylin_intensity"])
    assert 0 < values["tissue_fraction"] < 1  # which needs no stain


def test_the_residual_is_at_right_angles_to_both_stains():
    rows = np.linalg.inv(unmixing_matrix(STAIN_VECTORS["qupath"]))
    np.testing.assert_allclose(rows @ rows[2], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    assert not unmixing_matrix(STAIN_VECTORS["qupath"]).flags.writeable


def test_unknown_and_misshapen_vectors_are_refused():
    image = colors(4, 4)
    with pytest.raises(AnalysisError, match=r"'qupath', .*got 'giemsa'"):
        stain.stain_densities(image, "giemsa")
    for rows in (np.ones(3), np.ones((4, 3)), np.ones((3, 2)), [["a", "b", "c"]] * 2):
        with pytest.raises(ArrayError, match="stain vectors"):
            stain.stain_densities(image, rows)


def test_macenko_rows_unmix_the_image_that_they_come_from():
    amounts = mixture()
    image = stained(amounts, [HEMATOXYLIN, EOSIN])
    found = stain.stain_densities(image, stain.macenko(image))
    np.testing.assert_allclose(found[..., :2], amounts, atol=0.05)
