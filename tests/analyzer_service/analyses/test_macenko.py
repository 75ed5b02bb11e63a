import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.macenko import macenko, macenko_from_od, tissue_pixels
from analyzer_service.analyses.optical_density import optical_density, tissue_mask
from tests.analyzer_service.analyses.tissue import (
    DAB,
    EOSIN,
    HEMATOXYLIN,
    STAIN,
    colors,
    mixture,
    needs_real_tissue,
    read_png,
    stained,
)

EXPECTED = STAIN / "macenko_expected.json"


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


@needs_real_tissue
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("low-nuclei-score-level0.png", 1e-7),  # no pixel of stain is outside its tissue mask
        ("tissue-level0-7352-11762-7864-12274.png", 3e-5),
        ("medium-nuclei-score-level1.png", 2.5e-3),  # its mask leaves out the palest stain
    ],
)
def test_rows_of_real_tissue_are_histolabs(name, tolerance):
    """Its conventions are ours but for the intensities and a mask, which is not made here."""
    image = read_png(STAIN / name)
    rows = macenko((image + 1.0) / 255, white=240 / 255)
    expected = np.array(json.loads(EXPECTED.read_text())[name]).T
    np.testing.assert_allclose(rows, expected[:2], rtol=0, atol=tolerance)
    normal = np.cross(*rows)
    np.testing.assert_allclose(
        normal / np.linalg.norm(normal), expected[2], rtol=0, atol=2 * tolerance
    )
    plain = macenko(image)
    assert angle_deg(plain[0], expected[0]) < 2
    assert angle_deg(plain[1], expected[1]) < 2


@given(seed=st.integers(0, 10**6), second=st.sampled_from(["eosin", "dab"]))
@settings(deadline=None, max_examples=30)
def test_stains_that_were_mixed_are_found_hematoxylin_first(seed, second):
    counterstain = {"eosin": [0.2159, 0.8012, 0.5581], "dab": DAB}[second]
    counterstain = np.array(counterstain) / np.linalg.norm(counterstain)
    image = stained(mixture(seed=seed), [HEMATOXYLIN, counterstain])
    for rows in (macenko(image), macenko((255 * image).round().astype(np.uint8))):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
        assert angle_deg(rows[0], HEMATOXYLIN) < 1.5
        assert angle_deg(rows[1], counterstain) < 1.5


def test_a_tint_is_taken_off_by_the_white_point():
    tint = (0.7, 0.65, 0.85)
    image = stained(mixture(), [HEMATOXYLIN, DAB], white=tint)
    plain = macenko(stained(mixture(), [HEMATOXYLIN, DAB]))
    np.testing.assert_allclose(macenko(image, white=tint), plain, atol=1e-9)
    assert angle_deg(macenko(image)[1], DAB) > 3


def test_beta_and_alpha_choose_pixels():
    image = stained(mixture(), [HEMATOXYLIN, DAB])
    inner, outer = (macenko(image, alpha=alpha) for alpha in (30, 0))
    assert angle_deg(*inner) < angle_deg(*macenko(image)) <= angle_deg(*outer)
    assert np.isnan(macenko(image, beta=5)).all()


def test_what_absorbs_in_no_channel_alone_changes_nothing():
    image = stained(mixture(), [HEMATOXYLIN, DAB])
    rng = np.random.default_rng(0)
    pale = 10.0 ** -rng.uniform(0, 0.06, (64, 64, 3))
    np.testing.assert_allclose(macenko(np.hstack([image, pale])), macenko(image), atol=1e-12)


def test_black_pixels_change_nothing():
    image = (255 * stained(mixture(), [HEMATOXYLIN, DAB])).round().astype(np.uint8)
    black = np.zeros((64, 20, 3), np.uint8)
    black[:, 10:, 0] = 200  # two channels at their floor
    np.testing.assert_allclose(macenko(np.hstack([image, black])), macenko(image), atol=1e-12)


ONE_STAIN = stained(np.random.default_rng(0).uniform(0.3, 1, (64, 64, 1)), [HEMATOXYLIN])


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.full((64, 64, 3), 255, np.uint8), id="blank"),
        pytest.param(np.zeros((64, 64, 3), np.uint8), id="black"),
        pytest.param(np.full((64, 64, 3), [180, 60, 120], np.uint8), id="constant"),
        pytest.param(colors(64, 64)[..., 0], id="gray"),
        pytest.param(ONE_STAIN, id="one stain"),
        pytest.param((255 * ONE_STAIN).round().astype(np.uint8), id="one stain, 8 bits"),
        pytest.param(stained(mixture(7, 7), [HEMATOXYLIN, EOSIN]), id="tiny"),
        pytest.param(np.full((1, 1), 0.4), id="one pixel"),
        pytest.param(np.zeros((0, 4, 3)), id="no pixel"),
        pytest.param(np.where(np.eye(64)[..., None] > 0, np.nan, ONE_STAIN), id="NaN"),
        pytest.param(np.full((64, 64, 3), np.inf), id="infinite"),
    ],
)
def test_where_two_stains_cannot_be_told_apart_there_are_none(image):
    rows = macenko(image)
    assert rows.shape == (2, 3)
    assert np.isnan(rows).all()


def test_one_pixel_that_is_not_finite_leaves_nothing_known():
    image = stained(mixture(), [HEMATOXYLIN, DAB])
    image[3, 4, 0] = np.nan
    assert np.isnan(macenko(image)).all()


def test_a_pool_of_samples_gives_what_all_pixels_give():
    tiles = [stained(mixture(100, 100, seed=i), [HEMATOXYLIN, DAB]) for i in range(8)]
    pool = np.concatenate([tissue_pixels(tile, limit=500) for tile in tiles])
    assert pool.shape == (8 * 500, 3)
    whole = macenko(np.concatenate(tiles))
    sampled = macenko_from_od(pool)
    assert angle_deg(whole[0], sampled[0]) < 1
    assert angle_deg(whole[1], sampled[1]) < 1


def test_samples_are_tissue_spread_evenly_and_always_the_same():
    image = np.ones((100, 100, 3))
    image[50:] = np.linspace(0.1, 0.5, 5000).reshape(50, 100, 1)
    pixels = tissue_pixels(image, limit=50)
    np.testing.assert_allclose(10.0**-pixels, image[50:].reshape(-1, 3)[::100], rtol=1e-12)
    np.testing.assert_array_equal(pixels, tissue_pixels(image, limit=50))


def test_samples_of_little_tissue_are_all_of_it():
    image = colors(30, 30)
    expected = optical_density(image)[tissue_mask(image)]
    np.testing.assert_array_equal(tissue_pixels(image), expected)
    assert tissue_pixels(np.ones((9, 9))).shape == (0, 3)
    assert tissue_pixels(np.full((9, 9), np.nan)).shape == (0, 3)
    assert np.isnan(macenko_from_od(tissue_pixels(np.ones((9, 9))))).all()


def test_what_is_no_pool_is_refused():
    for pool in (np.zeros(3), np.zeros((5, 2)), np.zeros((4, 4, 3))):
        with pytest.raises(ArrayError, match=r"optical densities \(N, 3\)"):
            macenko_from_od(pool)
