"""Expected values come from scikit-image's regionprops, scipy's distances or by hand."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.measure import label, regionprops

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.nuclei import features, nuclear_table, spacing
from tests.analyzer_service.analyses.scenes import disk

COLUMNS = {
    "area": "area",
    "eccentricity": "eccentricity",
    "major_axis": "axis_major_length",
    "minor_axis": "axis_minor_length",
    "equivalent_diameter": "equivalent_diameter_area",
    "solidity": "solidity",
}


def blobs(seed, shape=(60, 80)):
    rng = np.random.default_rng(seed)
    return label(rng.random(shape) < 0.35, connectivity=1)


@pytest.mark.parametrize("seed", range(4))
def test_the_table_is_that_of_regionprops(seed):
    labels = blobs(seed)
    table, regions = nuclear_table(labels, detail=True), regionprops(labels)
    assert table.label.tolist() == [region.label for region in regions]
    for ours, theirs in COLUMNS.items():
        expected = [getattr(region, theirs) for region in regions]
        np.testing.assert_allclose(getattr(table, ours), expected, atol=1e-7, err_msg=ours)
    centroids = np.array([region.centroid for region in regions])
    np.testing.assert_allclose(np.stack([table.row, table.col], 1), centroids, atol=1e-9)


def test_large_far_objects_lose_no_digits():
    labels = np.zeros((3000, 3000), np.int32)
    labels[2900:2990, 2880:2995] = 7
    (region,) = regionprops(labels)
    table = nuclear_table(labels)
    assert table.eccentricity[0] == pytest.approx(region.eccentricity, abs=1e-7)


@pytest.mark.parametrize(
    ("pixels", "eccentricity"),
    [
        ([(4, 4)], 0),
        ([(4, 4), (4, 5)], 1),
        ([(4, 4), (5, 5)], 1),
        ([(3, 3), (3, 4), (4, 3), (4, 4)], 0),
    ],
)
def test_degenerate_shapes(pixels, eccentricity):
    labels = np.zeros((9, 9), int)
    labels[tuple(np.transpose(pixels))] = 1
    table = nuclear_table(labels, detail=True)
    assert table.eccentricity[0] == pytest.approx(eccentricity, abs=1e-7)
    assert table.solidity is not None
    assert 0 < table.solidity[0] <= 1


def test_labels_need_not_be_consecutive_or_small():
    labels = blobs(1)
    sparse = np.where(labels > 0, labels.astype(np.int64) * 10**12 + 3, 0)
    table, expected = nuclear_table(sparse), nuclear_table(labels)
    assert (table.label == expected.label * 10**12 + 3).all()
    assert (table.area == expected.area).all()
    assert features(sparse) == features(labels)
    assert features(labels.astype(np.uint16)) == features(labels)


def test_shapes_are_of_the_nuclei_inside():
    labels = np.zeros((64, 64), int)
    labels[disk(20, 20, 6, (64, 64))] = 1
    labels[disk(45, 40, 8, (64, 64))] = 2
    labels[0:30, 60:64] = 3
    inside = regionprops(np.where(labels == 3, 0, labels))
    areas = np.array([region.area for region in inside])
    table, values = nuclear_table(labels), features(labels, detail=True)
    assert table.touches_border.tolist() == [False, False, True]
    assert values["nuclear_count"] == 3
    assert values["nuclear_area_fraction"] == np.count_nonzero(labels) / 64**2
    assert values["nuclear_area_mean"] == areas.mean()
    assert values["nuclear_area_cv"] == pytest.approx(areas.std() / areas.mean(), abs=1e-12)
    assert values["nuclear_eccentricity_mean"] == pytest.approx(
        np.mean([region.eccentricity for region in inside]), abs=1e-7
    )
    assert values["nuclear_solidity_mean"] == pytest.approx(
        np.mean([region.solidity for region in inside]), abs=1e-12
    )
    assert "nuclear_solidity_mean" not in features(labels)


@pytest.mark.parametrize("edge", [np.s_[0, 5], np.s_[-1, 5], np.s_[5, 0], np.s_[5, -1]])
def test_every_side_of_the_tile_is_border(edge):
    labels = np.zeros((12, 12), int)
    labels[edge] = 4
    assert nuclear_table(labels).touches_border.tolist() == [True]


def test_density_is_per_square_millimeter_where_the_pixel_size_is_known():
    labels = np.zeros((100, 200), int)
    labels[10, 10], labels[50, 60] = 1, 2
    assert features(labels)["nuclear_density"] == pytest.approx(1.0)
    assert features(labels, mpp=0.5)["nuclear_density"] == pytest.approx(2 / (0.05 * 0.1))


def test_spacing_against_all_distances():
    points = np.random.default_rng(3).random((50, 2)) * 100
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    mean = distances.min(axis=1).mean()
    values = spacing(points, pixels=100**2)
    assert values["nuclear_nn_distance"] == pytest.approx(mean, abs=1e-12)
    assert values["clark_evans"] == pytest.approx(2 * mean * math.sqrt(50 / 100**2), abs=1e-12)


def test_spacing_of_thousands_in_heaps_and_of_stragglers():
    rng = np.random.default_rng(4)
    heaps = [rng.normal(center, 3, (400, 2)) for center in ((0, 0), (5, 300), (900, 40))]
    points = np.concatenate([*heaps, [(450, 500), (0, 999), (300, 301), (0, 0), (0, 0)]])
    rng.shuffle(points)
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    expected = distances.min(axis=1).mean()
    values = spacing(points, pixels=1000**2)
    assert values["nuclear_nn_distance"] == pytest.approx(expected, abs=1e-12)


def test_a_square_lattice_is_twice_as_even_as_chance():
    labels = np.zeros((100, 100), int)
    labels[5::10, 5::10] = np.arange(1, 101).reshape(10, 10)
    assert features(labels)["clark_evans"] == pytest.approx(2.0)


def test_no_nucleus_has_no_shape():
    values = features(np.zeros((20, 20), int), mpp=0.5, detail=True)
    counted = ("nuclear_count", "nuclear_area_fraction", "nuclear_density")
    assert [values.pop(name) for name in counted] == [0, 0, 0]
    assert values
    assert all(math.isnan(value) for value in values.values())


def test_one_nucleus_has_no_neighbor():
    labels = np.zeros((20, 20), int)
    labels[4:9, 4:9] = 1
    values = features(labels)
    assert values["nuclear_area_mean"] == 25
    assert values["nuclear_area_cv"] == 0
    assert math.isnan(values["nuclear_nn_distance"])
    assert math.isnan(values["clark_evans"])


def test_a_tile_that_is_all_nucleus_has_none_inside():
    values = features(np.ones((20, 20), int))
    assert values["nuclear_area_fraction"] == 1
    assert math.isnan(values["nuclear_area_mean"])


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_no_pixel_has_no_share(shape):
    values = features(np.zeros(shape, int), detail=True)
    assert values.pop("nuclear_count") == 0
    assert all(math.isnan(value) for value in values.values())


@pytest.mark.parametrize(
    "labels",
    [np.zeros(5, int), np.zeros((5, 5)), np.zeros((5, 5), bool), np.full((5, 5), -1), "labels"],
    ids=["1-D", "float", "mask", "negative", "text"],
)
def test_what_are_no_labels(labels):
    with pytest.raises(ArrayError):
        features(labels)
