import time

import cv2
import numpy as np
import pytest
import scipy.ndimage

from analyzer_service.analyses import nuclei
from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.instances import instance_scores
from tests.analyzer_service.analyses.scenes import (
    DAB,
    EOSIN,
    GLASS,
    HEMATOXYLIN,
    disk,
    ellipse,
    tissue,
)

GRID = [(row, col) for row in (24, 64, 104) for col in (24, 64, 104)]


def nine_disks(radius=8.0, stain=HEMATOXYLIN, amount=0.5):
    return [(disk(*center, radius), stain, amount) for center in GRID]


def true_labels(stained):
    labels = np.zeros(stained[0][0].shape, np.int32)
    for number, (mask, _, _) in enumerate(stained, 1):
        labels[mask] = number
    return labels


def test_every_disk_is_one_nucleus_of_its_size():
    stained = nine_disks()
    labels = nuclei.segment(tissue(stained))
    assert labels.dtype == np.int32
    assert labels.max() == 9
    scores = instance_scores(true_labels(stained), labels)
    assert scores["dq"] == 1
    assert scores["sq"] > 0.9


def test_labels_are_numbered_by_their_first_pixel():
    labels = nuclei.segment(tissue(nine_disks()))
    found, first = np.unique(labels, return_index=True)
    assert found.tolist() == list(range(10))
    assert (np.diff(first[1:]) > 0).all()


@pytest.mark.parametrize("white", [(0.72, 0.64, 0.82), (0.99, 0.85, 0.80)], ids=["lilac", "yellow"])
def test_a_tinted_background_changes_nothing_but_rounding(white):
    stained = [*nine_disks(), (disk(44, 44, 7), HEMATOXYLIN, 0.25)]
    plain = nuclei.segment(tissue(stained))
    tinted = nuclei.segment(tissue(stained, white=np.array(white)))
    assert plain.max() == tinted.max() == 10
    assert instance_scores(plain, tinted)["aji"] > 0.97


def test_dark_and_pale_nuclei_of_one_tile_are_both_found():
    stained = [
        (disk(*center, 8), HEMATOXYLIN, amount)
        for center, amount in zip(GRID, [0.8, 0.4] * 4 + [0.8], strict=True)
    ]
    scores = instance_scores(true_labels(stained), nuclei.segment(tissue(stained)))
    assert scores["dq"] == 1
    assert scores["sq"] > 0.85


def test_brown_nuclei_are_nuclei_beside_blue_ones():
    blue = [(disk(*center, 8), HEMATOXYLIN, 0.4) for center in GRID[:5]]
    counterstained = DAB + 0.25 * HEMATOXYLIN
    brown = [(disk(*center, 8), counterstained, 1.0) for center in GRID[5:]]
    labels = nuclei.segment(tissue([*blue, *brown], ground=0.0))
    assert instance_scores(true_labels([*blue, *brown]), labels)["dq"] == 1


def test_what_only_eosin_stains_is_no_nucleus():
    red_cells = [(disk(*center, 8), EOSIN, 0.9) for center in GRID]
    assert nuclei.segment(tissue(red_cells)).max() == 0
    nucleus = (disk(44, 44, 8), HEMATOXYLIN, 0.5)
    labels = nuclei.segment(tissue([*red_cells, nucleus]))
    assert labels.max() == 1
    assert labels[44, 44] == 1


def test_touching_nuclei_are_parted():
    stained = [(disk(60, col, 10), HEMATOXYLIN, 0.5) for col in (40, 58, 76)]
    stained[1][0][stained[0][0] | stained[2][0]] = False
    labels = nuclei.segment(tissue(stained))
    scores = instance_scores(true_labels(stained), labels)
    assert labels.max() == 3
    assert scores["sq"] > 0.85


@pytest.mark.parametrize("axes", [(6, 14), (14, 6), (10, 10), (9, 13)])
def test_an_ellipse_is_not_parted(axes):
    labels = nuclei.segment(tissue([(ellipse(64, 64, axes), HEMATOXYLIN, 0.5)]))
    assert labels.max() == 1


def test_clear_chromatin_is_part_of_its_nucleus_and_a_lumen_is_not():
    vesicular = disk(40, 40, 10) & ~disk(40, 40, 4)
    gland = disk(88, 88, 34) & ~disk(88, 88, 22)
    stained = [(vesicular, HEMATOXYLIN, 0.5), (gland, HEMATOXYLIN, 0.5)]
    labels = nuclei.segment(tissue(stained))
    assert labels[40, 40] > 0
    assert labels[88, 88] == 0


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_one_nucleus_in_a_large_empty_tile_is_found(noise):
    shape = (256, 256)
    nucleus = disk(100, 120, 8, shape)
    image = tissue([(nucleus, HEMATOXYLIN, 0.5)], shape=shape, noise=noise)
    labels = nuclei.segment(image)
    assert labels.max() == 1
    assert instance_scores(nucleus.astype(int), labels)["dice"] > 0.9


def test_the_same_field_at_twice_the_magnification():
    shape = (256, 256)
    small = nine_disks(radius=7)
    large = [(disk(2 * r, 2 * c, 14, shape), HEMATOXYLIN, 0.5) for r, c in GRID]
    assert nuclei.segment(tissue(small), mpp=0.5).max() == 9
    image = tissue(large, shape=shape)
    assert nuclei.segment(image, mpp=0.25).max() == 9
    assert nuclei.segment(image).max() == 9, "without a pixel size too"


def test_what_is_too_small_for_a_nucleus_is_left_out():
    specks = [(disk(row, col, 4), HEMATOXYLIN, 0.5) for row, col in GRID]
    assert nuclei.segment(tissue(specks), mpp=0.5).max() == 9
    assert nuclei.segment(tissue(specks), mpp=0.1).max() == 0


def test_gray_images_have_nuclei_too():
    gray = tissue(nine_disks())[..., 0]
    labels = nuclei.segment(gray)
    assert labels.max() == 9
    assert np.array_equal(labels, nuclei.segment(np.dstack([gray] * 3)))


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_a_constant_tile_has_none(value):
    assert nuclei.segment(np.full((64, 64, 3), value, np.uint8)).max() == 0


def test_glass_has_none():
    assert nuclei.segment(tissue([], ground=0.0, noise=0.01)).max() == 0


def test_floats_are_bytes_divided_by_255():
    image = tissue(nine_disks())
    assert np.array_equal(nuclei.segment(image), nuclei.segment(image / 255.0))
    assert np.array_equal(nuclei.segment(image), nuclei.segment((image / 255).astype(np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_has_no_labels(bad):
    image = tissue(nine_disks()) / 255.0
    image[3, 4, 1] = bad
    assert not nuclei.segment(image).any()


@pytest.mark.parametrize("height", [0, 1, 2, 5, 10])
@pytest.mark.parametrize("width", [0, 1, 3, 10])
@pytest.mark.parametrize("mpp", [None, 0.1, 2.0])
def test_tiny_tiles(height, width, mpp):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    labels = nuclei.segment(image, mpp=mpp)
    assert labels.shape == (height, width)
    assert nuclei.density_map(labels).shape == (height, width)
    assert nuclei.features(labels, mpp=mpp, detail=True)["nuclear_count"] == labels.max(initial=0)


@pytest.mark.parametrize("mpp", [1e-12, 1e12])
def test_absurd_pixel_sizes_cost_no_memory(mpp):
    assert nuclei.segment(tissue(nine_disks()), mpp=mpp).shape == (128, 128)


@pytest.mark.parametrize("mpp", [0.0, -0.5, np.nan, np.inf])
def test_a_pixel_size_is_a_positive_number(mpp):
    with pytest.raises(ArrayError, match="above 0"):
        nuclei.segment(np.zeros((8, 8), np.uint8), mpp=mpp)
    with pytest.raises(ArrayError, match="above 0"):
        nuclei.features(np.zeros((8, 8), int), mpp=mpp)


@pytest.mark.parametrize(
    "image",
    [np.zeros(8, np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), int), "tile"],
    ids=["1-D", "4 channels", "int64", "text"],
)
def test_what_is_no_image(image):
    with pytest.raises(ArrayError):
        nuclei.segment(image)


def test_the_image_is_left_as_it_is_and_strides_do_not_matter():
    image = tissue(nine_disks())
    before = image.copy()
    labels = nuclei.segment(image)
    assert np.array_equal(image, before)
    assert np.array_equal(labels, nuclei.segment(np.asfortranarray(image)))
    image.flags.writeable = False
    assert np.array_equal(labels, nuclei.segment(image))


def test_threads_change_nothing():
    image = tissue(nine_disks(), shape=(128, 128), white=GLASS * 0.9)
    threads = cv2.getNumThreads()
    try:
        results = []
        for count in (1, 4):
            cv2.setNumThreads(count)
            results.append(nuclei.segment(image).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert results[0] == results[1]


def hostile_tiles(side=256):
    rng = np.random.default_rng(6)
    row, col = np.indices((side, side))
    for cell in (3, 4, 5, 8):
        board = np.where((row // cell + col // cell) % 2, 80, 220)
        specks = np.where((row % cell < cell - 2) & (col % cell < cell - 2), 80, 220)
        yield f"checkerboard of {cell}", board
        yield f"specks every {cell}", specks
    yield "noise", rng.integers(0, 256, (side, side))
    yield "black and white noise", rng.integers(0, 2, (side, side)) * 200 + 20
    yield "all nucleus", np.where(row < side // 8, 240, rng.integers(50, 70, (side, side)))


def seconds_of_processor(image, mpp):
    start = time.process_time()
    nuclei.features(nuclei.segment(image, mpp=mpp))
    return time.process_time() - start


@pytest.mark.alone
@pytest.mark.parametrize("mpp", [0.25, 0.5, 2.0])
def test_a_hostile_tile_takes_at_most_five_times_as_long(mpp):
    shape = (256, 256)
    centers = [(row, col) for row in range(12, 250, 20) for col in range(12, 250, 20)]
    image = tissue([(disk(*each, 7, shape), HEMATOXYLIN, 0.5) for each in centers], shape=shape)
    for name, gray in hostile_tiles():
        hostile = gray.astype(np.uint8)
        turns = [
            (seconds_of_processor(image, 0.5), seconds_of_processor(hostile, mpp)) for _ in range(7)
        ]
        usual, slow = np.min(turns, axis=0)
        assert slow < 5 * usual, name


@pytest.mark.parametrize("shape", [(64, 96), (9, 5), (1, 1), (1, 200)])
def test_density_is_scipys_gaussian_of_the_mask(shape):
    labels = np.random.default_rng(2).integers(0, 3, shape)
    expected = scipy.ndimage.gaussian_filter(
        (labels > 0).astype(float), 8.0, mode="reflect", truncate=4.0
    )
    density = nuclei.density_map(labels)
    assert density.dtype == np.float64
    np.testing.assert_allclose(density, expected, atol=2e-6)


def test_density_keeps_the_area_fraction():
    labels = nuclei.segment(tissue(nine_disks()))
    share = nuclei.features(labels)["nuclear_area_fraction"]
    assert nuclei.density_map(labels).mean() == pytest.approx(share, abs=1e-6)
    assert nuclei.density_map(np.zeros((8, 8), int)).max() == 0
    assert nuclei.density_map(np.ones((8, 8), int)).min() == pytest.approx(1, abs=1e-6)
