"""Shapes and names as the design gives them."""

import pytest
import torch

from shared.errors import ConfigurationError
from trainer.model import BAM, DAEKAN, KANConv2d


def forward(size, tile):
    torch.manual_seed(0)
    with torch.no_grad():
        return DAEKAN(size).eval()(torch.rand(2, 3, tile, tile))


@pytest.mark.parametrize(
    ("size", "wide", "latent", "tile"), [("full", 384, 16, 32), ("small", 48, 2, 128)]
)
def test_returns_features_tiles_and_latent(size, wide, latent, tile):
    encoded, decoded, z = forward(size, tile)
    assert encoded.shape == (2, wide, tile // 2, tile // 2)
    assert decoded.shape == (2, 3, tile, tile)
    assert z.shape == (2, latent, tile // 8, tile // 8)
    assert 0 < decoded.min() < decoded.max() < 1


@pytest.mark.parametrize(("size", "names"), [("full", (384, 16)), ("small", (48, 2))])
def test_names_its_layers_by_their_channels(size, names):
    model = DAEKAN(size)
    assert list(model.attention_layers) == [f"bam_{channels}" for channels in names]
    for path in model.attention_layers.values():
        assert isinstance(model.get_submodule(path), BAM)
    assert list(model.activation_layers) == ["encoder_kan", "decoder_kan"]
    for path in model.activation_layers.values():
        assert isinstance(model.get_submodule(path), KANConv2d)


def test_gates_are_at_a_quarter_and_an_eighth_of_the_tile():
    model, sizes = DAEKAN("small"), {}
    for name, path in model.attention_layers.items():
        model.get_submodule(path).spatial_attention.register_forward_hook(
            lambda _m, _a, out, name=name: sizes.__setitem__(name, tuple(out.shape[1:]))
        )
    model(torch.rand(1, 3, 128, 128))
    assert sizes == {"bam_48": (32, 32), "bam_2": (16, 16)}


def test_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    model = DAEKAN("small")
    model(torch.rand(2, 3, 32, 32))[1].square().sum().backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without == []


def test_refuses_tiles_that_do_not_halve_three_times():
    with pytest.raises(ConfigurationError, match=r"100x128.*multiples of 8"):
        DAEKAN("small")(torch.rand(1, 3, 100, 128))
