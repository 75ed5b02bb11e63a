"""Hooks against the gate computed by hand from BAM's own branches."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from shared.errors import ConfigurationError
from trainer.capture.gates import Tap, find_module, tap_layers
from trainer.capture.maps import reduce_map, to_numpy
from trainer.model.bam import BAM


def taken(tap: Tap) -> Tensor:
    """The tap's map, as the sender thread computes it."""
    maps = tap.take()
    assert maps is not None
    return torch.from_numpy(reduce_map(maps.form, [to_numpy(h.tensor) for h in maps.held]))


def gate_by_hand(bam: BAM, x: Tensor) -> Tensor:
    """METRICS.md section 1, in float64: mean over channels of sigmoid(c_k + s_ij)."""
    c = bam.channel_attention(x).double()
    s = bam.spatial_attention(x).double()
    return torch.sigmoid(c[:, :, None, None] + s[:, None]).mean(dim=1)


@pytest.fixture
def bam() -> BAM:
    torch.manual_seed(0)
    module = BAM(12)
    for parameter in module.parameters():  # far from an untrained, nearly flat gate
        torch.nn.init.normal_(parameter, std=0.6)
    return module


@pytest.mark.parametrize("training", [True, False])
def test_the_gate_is_that_of_the_forward_pass(bam: BAM, training: bool) -> None:
    bam.train(training)
    x = torch.randn(3, 12, 10, 14)
    with torch.no_grad():
        expected = gate_by_hand(bam, x)
    (tap,) = tap_layers(nn.ModuleDict({"a": bam}), {"bam": "a"}, {}, samples=4)
    bam(x)
    assert expected.std() > 0.01
    torch.testing.assert_close(taken(tap).double(), expected, rtol=0, atol=1e-6)
    # The gate gives BAM's output back, so it is the one that was applied.
    with torch.no_grad():
        c, s = bam.channel_attention(x), bam.spatial_attention(x)
    torch.testing.assert_close(
        (c[:, :, None, None] + s[:, None]).sigmoid().mean(dim=1), taken(tap), rtol=0, atol=1e-6
    )


def test_nothing_of_the_graph_is_kept_and_the_output_is_untouched(bam: BAM) -> None:
    bam.eval()
    x = torch.randn(2, 12, 8, 8)
    expected = bam(x)
    tap = Tap("bam", bam, "attention", 4)
    assert torch.equal(bam(x), expected)
    maps = tap.take()
    assert maps is not None
    assert all(not held.tensor.requires_grad for held in maps.held)


def test_the_last_call_counts_with_checkpointing_too(bam: BAM) -> None:
    tap = Tap("bam", bam, "attention", 4)
    first, second = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8, requires_grad=True)
    bam(first)
    # Checkpointing runs the layer again during the backward pass.
    checkpoint(bam, second, use_reentrant=False).sum().backward()
    with torch.no_grad():
        expected = gate_by_hand(bam, second)
    torch.testing.assert_close(taken(tap).double(), expected, rtol=0, atol=1e-6)


def test_a_cleared_or_silent_layer_has_no_map(bam: BAM) -> None:
    tap = Tap("bam", bam, "attention", 4)
    assert tap.take() is None
    bam(torch.randn(2, 12, 8, 8))
    tap.clear()
    assert tap.take() is None


@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 1, 5, 6), (2, 3, 5, 6)])
def test_the_output_of_another_module_is_the_gate_itself(shape: tuple[int, ...]) -> None:
    gate = torch.rand(shape)
    expected = gate if gate.ndim == 3 else gate.mean(dim=1)
    module = nn.Identity()
    tap = Tap("gate", module, "attention", 4)
    module(gate)
    torch.testing.assert_close(taken(tap), expected)


def test_an_activation_is_the_mean_of_its_absolute_value() -> None:
    x = torch.randn(2, 3, 5, 6)
    module = nn.Identity()
    tap = Tap("kan", module, "activation", 4)
    module(x)
    torch.testing.assert_close(taken(tap), x.abs().mean(dim=1))


def test_removed_hooks_keep_nothing(bam: BAM) -> None:
    tap = Tap("bam", bam, "attention", 4)
    tap.remove()
    bam(torch.randn(2, 12, 8, 8))
    assert tap.take() is None
    assert not bam.channel_attention._forward_hooks
    assert not bam.spatial_attention._forward_hooks


class ReturnsText(nn.Module):
    def forward(self) -> str:
        return "no tensor"


def test_an_output_that_is_no_tensor_does_not_raise_into_the_forward_pass() -> None:
    module = ReturnsText()
    tap = Tap("text", module, "attention", 4)
    assert module() == "no tensor"
    assert tap.take() is None


def test_an_unknown_path_names_its_neighbors(bam: BAM) -> None:
    model = nn.Sequential(nn.ModuleDict({"attention_one": bam}))
    with pytest.raises(ConfigurationError, match=r"has no module '0\.attn_one': .*0\.attention_on"):
        find_module(model, "0.attn_one")


def test_a_wrong_path_leaves_no_hook_behind(bam: BAM) -> None:
    with pytest.raises(ConfigurationError):
        tap_layers(nn.ModuleDict({"a": bam}), {"good": "a", "bad": "b"}, {}, samples=4)
    assert not bam.channel_attention._forward_hooks
