"""Hooks against the gate computed by hand from BAM's own branches."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from shared.errors import ConfigurationError
from shared.messages import LayerKind
from trainer.capture.gates import Taps, find_module
from trainer.capture.maps import reduce_map, to_numpy
from trainer.capture.values import layers_that_ran
from trainer.model.bam import BAM


def watch(module: nn.Module, kind: LayerKind = "attention") -> Taps:
    """Hooks on a module that is the only layer of its model."""
    layers = {"layer": "a"}
    attention, activation = (layers, {}) if kind == "attention" else ({}, layers)
    return Taps(nn.ModuleDict({"a": module}), attention, activation, samples=4)


def taken(taps: Taps) -> Tensor:
    """The layer's map, as the sender thread computes it."""
    kept = taps.take()
    [layer] = layers_that_ran(taps.layers, kept)
    parts = [to_numpy(part[0]) for i in layer.parts if (part := kept[i]) is not None]
    return torch.from_numpy(reduce_map(layer.form, parts))


def ran(taps: Taps) -> bool:
    return bool(layers_that_ran(taps.layers, taps.take()))


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
    taps = watch(bam)
    bam(x)
    assert expected.std() > 0.01
    torch.testing.assert_close(taken(taps).double(), expected, rtol=0, atol=1e-6)
    # The gate gives BAM's output back, so it is the one that was applied.
    with torch.no_grad():
        c, s = bam.channel_attention(x), bam.spatial_attention(x)
    torch.testing.assert_close(
        (c[:, :, None, None] + s[:, None]).sigmoid().mean(dim=1), taken(taps), rtol=0, atol=1e-6
    )


def test_nothing_of_the_graph_is_kept_and_the_output_is_untouched(bam: BAM) -> None:
    bam.eval()
    x = torch.randn(2, 12, 8, 8)
    expected = bam(x)
    taps = watch(bam)
    assert torch.equal(bam(x), expected)
    kept = taps.take()
    assert len(kept) == 2
    assert all(part is not None and not part[0].requires_grad for part in kept)


def test_the_last_call_counts_with_checkpointing_too(bam: BAM) -> None:
    taps = watch(bam)
    first, second = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8, requires_grad=True)
    bam(first)
    # Checkpointing runs the layer again during the backward pass.
    checkpoint(bam, second, use_reentrant=False).sum().backward()
    with torch.no_grad():
        expected = gate_by_hand(bam, second)
    torch.testing.assert_close(taken(taps).double(), expected, rtol=0, atol=1e-6)


def test_a_cleared_or_silent_layer_has_no_map(bam: BAM) -> None:
    taps = watch(bam)
    assert not ran(taps)
    bam(torch.randn(2, 12, 8, 8))
    taps.clear(inference=False)
    assert not ran(taps)
    bam.channel_attention(torch.randn(2, 12, 8, 8))  # one of the two branches is no gate
    assert not ran(taps)


@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 1, 5, 6), (2, 3, 5, 6)])
def test_the_output_of_another_module_is_the_gate_itself(shape: tuple[int, ...]) -> None:
    gate = torch.rand(shape)
    expected = gate if gate.ndim == 3 else gate.mean(dim=1)
    module = nn.Identity()
    taps = watch(module)
    module(gate)
    torch.testing.assert_close(taken(taps), expected)


def test_an_activation_is_the_mean_of_its_absolute_value() -> None:
    x = torch.randn(2, 3, 5, 6)
    module = nn.Identity()
    taps = watch(module, "activation")
    module(x)
    torch.testing.assert_close(taken(taps), x.abs().mean(dim=1))


def test_removed_hooks_keep_nothing(bam: BAM) -> None:
    taps = watch(bam)
    taps.remove()
    bam(torch.randn(2, 12, 8, 8))
    assert not ran(taps)
    assert not bam.channel_attention._forward_hooks
    assert not bam.spatial_attention._forward_hooks


class ReturnsText(nn.Module):
    def forward(self) -> str:
        return "no tensor"


def test_an_output_that_is_no_tensor_does_not_raise_into_the_forward_pass() -> None:
    module = ReturnsText()
    taps = watch(module)
    for inference in (False, True):
        taps.clear(inference=inference)
        assert module() == "no tensor"
    assert not ran(taps)


@pytest.mark.parametrize("expected", [False, True])
def test_what_has_no_version_counter_is_copied(expected: bool) -> None:
    module = nn.Identity()
    taps = watch(module)
    taps.clear(inference=expected)
    with torch.inference_mode():
        gate = torch.rand(6, 5, 5)
        before = gate.clone()
        module(gate)
        gate.zero_()
    torch.testing.assert_close(taken(taps), before[:4].clone())


def test_a_layer_that_is_overwritten_within_its_step_is_copied_from_the_next_one_on() -> None:
    module = nn.Identity()
    taps = watch(module)
    for copied in (False, True, True):
        taps.clear(inference=False)
        gate = torch.rand(6, 5, 5)
        module(gate)
        gate.zero_()
        [part] = taps.take()
        assert part is not None
        assert (part[0] is gate) is not copied
        assert (part[0]._version != part[1]) is not copied


def test_an_unknown_path_names_its_neighbors(bam: BAM) -> None:
    model = nn.Sequential(nn.ModuleDict({"attention_one": bam}))
    with pytest.raises(ConfigurationError, match=r"has no module '0\.attn_one': .*0\.attention_on"):
        find_module(model, "0.attn_one")


def test_a_wrong_path_leaves_no_hook_behind(bam: BAM) -> None:
    with pytest.raises(ConfigurationError):
        Taps(nn.ModuleDict({"a": bam}), {"good": "a", "bad": "b"}, {}, samples=4)
    assert not bam.channel_attention._forward_hooks
