"""The worked vectors; each names the independent implementation of its expected values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.analyses import (
    attention,
    color,
    nuclei,
    quality,
    significance,
    stain,
    texture,
)
from analyzer_service.analyses.instances import instance_scores

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "metric_vectors.json").read_text()
)["vectors"]


def vectors(*, only: str | None = None, start: str = "") -> list[Any]:
    chosen = [
        v for v in VECTORS if v["metric"] == only or (start and v["metric"].startswith(start))
    ]
    assert chosen, f"no vectors of {only or start}"
    return [pytest.param(v, id=f"{v['metric']}-{v.get('note', i)}") for i, v in enumerate(chosen)]


MAP_VECTORS = [
    *vectors(start="attention_"),
    *vectors(only="num_attention_peaks"),
    *vectors(only="flat map"),
]


@pytest.mark.parametrize("vector", MAP_VECTORS)
def test_attention_metrics(vector):
    metrics = attention.attention_metrics(vector["inputs"]["a"])
    shared = set(metrics) & set(vector["expected"])
    assert shared
    for name in shared:
        assert metrics[name] == pytest.approx(vector["expected"][name], abs=vector["tol"]), name


def test_status_of_the_flat_vector():
    (vector,) = [v for v in VECTORS if v["metric"] == "flat map"]
    assert attention.map_status(vector["inputs"]["a"]).status == "flat"


@pytest.mark.parametrize("vector", vectors(only="moran_i"))
def test_moran_i(vector):
    value = attention.moran_i(vector["inputs"]["a"])
    assert value == pytest.approx(vector["expected"]["I"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="spatial_consistency"))
def test_spatial_consistency(vector):
    maps = vector["inputs"]["maps"]
    expected = vector["expected"]
    value = attention.spatial_consistency(maps)
    assert value == pytest.approx(expected["spatial_consistency"], abs=vector["tol"])
    pair = attention.spatial_consistency([maps[0], maps[1]])
    assert pair == pytest.approx(expected["r_A2_A1"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="ssim"))
def test_quality(vector):
    x, y = images(vector["inputs"]["case"])
    for name, expected in vector["expected"].items():
        value = getattr(quality, name)(x, y)
        assert value == pytest.approx(expected, abs=vector["tol"]), name


@pytest.mark.parametrize("vector", vectors(only="dutilleul_modified_t"))
def test_modified_t(vector):
    inputs = vector["inputs"]
    found = significance.modified_t_test(inputs["a"], inputs["f"], nclass=inputs["nclass"])
    for name, expected in vector["expected"].items():
        assert getattr(found, name) == pytest.approx(expected, abs=vector["tol"]), name


@pytest.mark.parametrize("vector", vectors(only="mismatched_tile_test"))
def test_mismatched_tiles(vector):
    inputs, expected = vector["inputs"], vector["expected"]
    found = significance.mismatched_tile_test(inputs["maps"], inputs["features"])
    tolerance = vector["tol"]
    assert found.exact
    assert found.matched_mean == pytest.approx(expected["matched_mean_r"], abs=tolerance)
    assert found.mismatched_mean == pytest.approx(expected["mismatched_mean_r"], abs=tolerance)
    exact = expected["p_exact_all_6_permutations_two_sided"]
    assert found.p == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("vector", vectors(only="toroidal_shift"))
def test_toroidal_shifts(vector):
    expected = vector["expected"]
    found = significance.toroidal_shift_test(vector["inputs"]["a"], vector["inputs"]["f"])
    assert found.p == expected["p"]
    assert found.shifts[1, 2] == pytest.approx(expected["r_shift_1_2"], abs=vector["tol"])
    assert found.max_abs_r == pytest.approx(expected["max_abs_r"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="benjamini_hochberg"))
def test_false_discoveries(vector):
    q = significance.benjamini_hochberg(vector["inputs"]["p"])
    np.testing.assert_allclose(q, vector["expected"]["q"], atol=vector["tol"])
    assert (q <= 0.05).tolist() == vector["expected"]["reject_05"]


@pytest.mark.parametrize("vector", vectors(only="tissue_attention_correlation"))
def test_correlations(vector):
    a, f = vector["inputs"]["a"], vector["inputs"]["f"]
    expected, tolerance = vector["expected"], vector["tol"]
    assert significance.modified_t_test(a, f).r == pytest.approx(expected["r"], abs=tolerance)
    assert attention.pearson(a, f) == pytest.approx(expected["r"], abs=tolerance)
    assert significance.spearman(a, f) == pytest.approx(expected["spearman"], abs=tolerance)


def images(case):
    """Images of the vector's formula."""
    i, j = np.mgrid[:16, :16]
    x = ((7 * i + 13 * j + 3 * i * j) % 256) / 255
    y = np.clip(0.8 * x + ((5 * i + j**2) % 31) / 155, 0, 1)
    if case == "gray":
        return x, y
    return np.stack([x, x.T, 1 - x], axis=-1), np.stack([y, x.T, 1 - y], axis=-1)


def pixels(vector):
    return np.array([vector["inputs"]["rgb_uint8"]], dtype=np.uint8)


@pytest.mark.parametrize("vector", vectors(only="rgb2hed"))
def test_hed(vector):
    for image in (pixels(vector), pixels(vector) / 255):
        expected = np.array([vector["expected"]["hed"]])
        np.testing.assert_allclose(stain.hed(image), expected, rtol=0, atol=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="hematoxylin_eosin_od"))
def test_stain_densities(vector):
    expected = np.stack([vector["expected"]["H"], vector["expected"]["E"]], axis=-1)[None]
    for image in (pixels(vector), pixels(vector) / 255):
        densities = stain.stain_densities(image, "ruifrok")
        np.testing.assert_allclose(densities[..., :2], expected, rtol=0, atol=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="color_variance"))
def test_color_variance(vector):
    expected, image = vector["expected"], pixels(vector)
    assert color.color_variance(image) == pytest.approx(expected["mean"], abs=vector["tol"])
    each = color.color_variance_map(image)
    np.testing.assert_allclose(each[0], expected["per_pixel"], rtol=0, atol=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="glcm"))
def test_glcm(vector):
    inputs = vector["inputs"]
    options = {
        "levels": inputs["levels"],
        "distances": inputs["distances"],
        "angles": inputs["angles_rad"],
    }
    levels = np.array(inputs["gray_levels"])
    features = texture.glcm_features_of_levels(levels, **options)
    cell = texture.local_glcm_of_levels(levels, 1, **options)
    for name, value in features.items():
        expected = vector["expected"][name.removeprefix("texture_")]
        assert value == pytest.approx(expected, abs=vector["tol"]), name
        assert cell[name].item() == pytest.approx(expected, abs=vector["tol"]), name


@pytest.mark.parametrize("vector", vectors(only="nuclear_morphology"))
def test_nuclear_morphology(vector):
    labels = np.array(vector["inputs"]["labels"])
    table, values = nuclei.nuclear_table(labels, detail=True), nuclei.features(labels)
    measured = {
        "count": values["nuclear_count"],
        "area": table.area,
        "eccentricity": table.eccentricity,
        "solidity": table.solidity,
        "major": table.major_axis,
        "minor": table.minor_axis,
        "equivalent_diameter": table.equivalent_diameter,
        "centroid": np.stack([table.row, table.col], axis=1),
        "density_per_px": values["nuclear_density"] / 1e4,
        "area_fraction": values["nuclear_area_fraction"],
    }
    assert set(measured) == set(vector["expected"]) - {"perimeter_crofton"}  # not measured
    for name, value in measured.items():
        np.testing.assert_allclose(
            value, vector["expected"][name], atol=vector["tol"], rtol=0, err_msg=name
        )


@pytest.mark.parametrize("vector", vectors(only="nuclear_spacing"))
def test_nuclear_spacing(vector):
    (tile,) = [v for v in VECTORS if v["metric"] == "nuclear_morphology"]
    centroids, expected = vector["inputs"]["centroids"], vector["expected"]
    values = nuclei.spacing(centroids, pixels=np.size(tile["inputs"]["labels"]))
    assert values["nuclear_nn_distance"] == pytest.approx(expected["nn_mean"], abs=vector["tol"])
    assert values["clark_evans"] == pytest.approx(expected["clark_evans_R"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="pq_aji"))
def test_instance_scores(vector):
    scores = instance_scores(vector["inputs"]["true"], vector["inputs"]["pred"])
    assert scores == pytest.approx(vector["expected"], abs=vector["tol"])
