"""Expected values: by hand from Beer-Lambert densities; real tissue says what it is."""

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.builders import DAB, EOSIN, HEMATOXYLIN, TISSUE, stained, white
from trainer.data.tissue import guess_stain, tissue_map


def test_a_pixel_is_tissue_above_a_density_of_15_hundredths():
    # 3 * -log10(v / 255) crosses 0.15 between 228 (0.1459) and 227 (0.1515).
    image = np.full((8, 16, 3), 228, np.uint8)
    image[:, 8:] = 227
    assert tissue_map(image).share.tolist() == [[0.0, 1.0]]


def test_partial_cells_at_the_edges_count_by_their_own_area():
    image = white(12, 10)
    image[8:, :] = 100
    assert tissue_map(image).share.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_share_of_a_rectangle_is_the_mean_over_its_cells():
    image = white(64, 64)
    image[:, 32:] = 100
    tissue = tissue_map(image)
    assert tissue.of(0, 0, 32, 32) == 0.0
    assert tissue.of(0, 16, 32, 32) == 0.5
    assert tissue.of(32, 32, 32, 32) == 1.0


def test_tall_images_are_mapped_strip_by_strip():
    rng = np.random.default_rng(0)
    image = rng.integers(150, 256, (2100, 24, 3)).astype(np.uint8)
    whole = tissue_map(image).share
    assert whole.shape == (263, 3)
    assert np.array_equal(whole[130:140], tissue_map(image[1040:1120]).share)


@pytest.mark.parametrize(
    ("stains", "expected"),
    [
        ([(HEMATOXYLIN, EOSIN)], "he"),
        ([(HEMATOXYLIN,), (EOSIN,)], "he"),
        ([(HEMATOXYLIN,), (HEMATOXYLIN,), (HEMATOXYLIN,), (DAB,)], "ihc"),
        ([(DAB,)], "ihc"),
    ],
)
def test_brown_means_dab(stains, expected):
    assert guess_stain([stained(stains=tile) for tile in stains]) == expected


def test_nothing_stained_or_gray_is_unknown():
    assert guess_stain([white()]) == "unknown"
    assert guess_stain([np.full((32, 32, 3), 90, np.uint8)]) == "unknown"
    assert guess_stain([]) == "unknown"


@pytest.mark.skipif(not TISSUE.exists(), reason="real tissue is not here")
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("cmu1_he_20x", "he"),
        ("os1_he_40x", "he"),
        ("nct_crc_he_20x", "he"),
        ("os2_ki67_40x", "ihc"),
    ],
)
def test_real_stains_are_told_apart(folder, expected):
    paths = sorted((TISSUE / folder).iterdir())
    assert guess_stain([np.asarray(Image.open(path).convert("RGB")) for path in paths]) == expected
