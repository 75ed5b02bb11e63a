"""The worked vectors of nuclei: shapes, spacing, and agreement with annotations."""

import numpy as np
import pytest

from analyzer_service.analyses.instances import instance_scores
from analyzer_service.analyses.nuclei_shape import features, nuclear_table, spacing
from tests.analyzer_service.analyses.test_vectors import vectors


@pytest.mark.parametrize("vector", vectors(only="nuclear_morphology"))
def test_morphology(vector):
    labels, expected = np.array(vector["inputs"]["labels"]), vector["expected"]
    table = nuclear_table(labels, detail=True)
    near = {"atol": vector["tol"]}
    assert len(table.label) == expected["count"]
    np.testing.assert_allclose(table.area, expected["area"], **near)
    np.testing.assert_allclose(table.eccentricity, expected["eccentricity"], **near)
    np.testing.assert_allclose(table.solidity, expected["solidity"], **near)
    np.testing.assert_allclose(table.major_axis, expected["major"], **near)
    np.testing.assert_allclose(table.minor_axis, expected["minor"], **near)
    np.testing.assert_allclose(table.equivalent_diameter, expected["equivalent_diameter"], **near)
    centroids = np.stack([table.row, table.col], axis=1)
    np.testing.assert_allclose(centroids, expected["centroid"], **near)
    found = features(labels)
    assert found["nuclear_density"] / 1e4 == pytest.approx(
        expected["density_per_px"], abs=vector["tol"]
    )
    assert found["nuclear_area_fraction"] == pytest.approx(
        expected["area_fraction"], abs=vector["tol"]
    )


@pytest.mark.parametrize("vector", vectors(only="nuclear_spacing"))
def test_spacing(vector):
    found = spacing(vector["inputs"]["centroids"], pixels=12 * 14)  # of the labels above
    expected = vector["expected"]
    assert found["nuclear_nn_distance"] == pytest.approx(expected["nn_mean"], abs=vector["tol"])
    assert found["clark_evans"] == pytest.approx(expected["clark_evans_R"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="pq_aji"))
def test_instances(vector):
    found = instance_scores(*(np.array(vector["inputs"][side]) for side in ("true", "pred")))
    for name, value in vector["expected"].items():
        assert found[name] == pytest.approx(value, abs=vector["tol"]), name
