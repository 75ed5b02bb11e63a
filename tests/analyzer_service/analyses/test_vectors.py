"""The worked vectors; each names the independent implementation of its expected values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.analyses import attention, quality

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


def images(case):
    """Images of the vector's formula."""
    i, j = np.mgrid[:16, :16]
    x = ((7 * i + 13 * j + 3 * i * j) % 256) / 255
    y = np.clip(0.8 * x + ((5 * i + j**2) % 31) / 155, 0, 1)
    if case == "gray":
        return x, y
    return np.stack([x, x.T, 1 - x], axis=-1), np.stack([y, x.T, 1 - y], axis=-1)
