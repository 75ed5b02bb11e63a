"""Expected values: the unfolding definition, SciPy's B-splines, finite differences."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from tests.trainer.model.unfolded_kan import unfolded_forward
from trainer.model.kan import KANConv2d, expand

ROOT = Path(__file__).parents[3]


def make_layer(**options) -> KANConv2d:
    torch.manual_seed(3)
    layer = KANConv2d(4, 5, **options)
    torch.nn.init.normal_(layer.spline_weight, std=0.3)
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"kernel_size": 5, "padding": 2},
        {"padding": 0},
        {"grid_size": 3, "grid_range": (-1.0, 1.0)},
    ],
)
def test_equals_the_unfolding_definition(options):
    layer = make_layer(**options)
    # From -7 on, so that values left and right of all knots are among them.
    x = torch.linspace(-7, 7, 2 * 4 * 9 * 11)[torch.randperm(2 * 4 * 9 * 11)].view(2, 4, 9, 11)
    torch.testing.assert_close(layer(x), unfolded_forward(layer, x), atol=1e-5, rtol=1e-5)


def test_gradients_equal_the_unfolding_definition():
    layer = make_layer()
    x = torch.randn(2, 4, 8, 8) * 2
    fast, slow = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer(fast).square().sum().backward()
    weights = [layer.base_weight.grad.clone(), layer.spline_weight.grad.clone()]
    layer.zero_grad()
    unfolded_forward(layer, slow).square().sum().backward()
    torch.testing.assert_close(fast.grad, slow.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(weights[0], layer.base_weight.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(weights[1], layer.spline_weight.grad, atol=1e-3, rtol=1e-4)


def test_bases_are_those_of_scipy():
    x = np.linspace(-5, 5, 401)
    expanded = expand(torch.from_numpy(x).float().view(1, 1, 1, -1), 5, (-2.0, 2.0))
    knots = -2 + 0.8 * np.arange(-3, 9)
    for i in range(8):
        basis = BSpline.basis_element(knots[i : i + 5], extrapolate=False)
        expected = np.nan_to_num(basis(x))
        np.testing.assert_allclose(expanded[0, 1 + i, 0].numpy(), expected, atol=1e-6)


def test_padding_counts_as_zeros_not_as_nothing():
    layer = make_layer()
    torch.nn.init.zeros_(layer.base_weight)
    out = layer(torch.zeros(1, 4, 6, 6))
    torch.testing.assert_close(out[..., 0, 0], out[..., 3, 3])
    assert out.abs().min() > 0


def test_identity_start_passes_channels_through():
    torch.manual_seed(0)
    layer = KANConv2d(3, 3)
    torch.nn.init.zeros_(layer.base_weight)
    torch.nn.init.zeros_(layer.spline_weight)
    layer.start_as_identity()
    x = torch.rand(2, 3, 6, 6) * 4 - 2
    torch.testing.assert_close(layer(x), x, atol=2e-3, rtol=0)


def test_half_precision_input_is_expanded_in_float32():
    layer = make_layer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = torch.randn(1, 4, 8, 8).bfloat16().requires_grad_()
        out = layer(x)
    out.float().sum().backward()
    assert out.dtype == x.grad.dtype == torch.bfloat16
    assert x.grad.isfinite().all()


def test_takes_at_least_ten_times_less_memory_than_unfolding():
    bench = [sys.executable, str(ROOT / "benchmarks" / "kan_memory.py"), "--case", "1,16,64,64"]
    ran = subprocess.run([*bench, "--json", "-"], capture_output=True, text=True, check=True)
    [case] = json.loads(ran.stdout)["cases"]
    assert case["unfolded_mib"] >= 10 * case["padded_mib"]
