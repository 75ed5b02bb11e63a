"""Expected values: the formula of the gate, written out."""

import pytest
import torch

from trainer.model.bam import BAM


def branch_outputs(bam, x):
    kept = {}
    handles = [
        getattr(bam, name).register_forward_hook(
            lambda _m, _a, out, name=name: kept.__setitem__(name, out)
        )
        for name in ("channel_attention", "spatial_attention")
    ]
    y = bam(x)
    for handle in handles:
        handle.remove()
    return kept["channel_attention"], kept["spatial_attention"], y


def test_the_two_branches_say_everything_about_the_gate():
    torch.manual_seed(0)
    x = torch.randn(3, 48, 10, 12)
    c, s, y = branch_outputs(BAM(48), x)
    assert c.shape == (3, 48)
    assert s.shape == (3, 10, 12)
    gate = 1 / (1 + torch.exp(-(c.view(3, 48, 1, 1) + s.view(3, 1, 10, 12))))
    torch.testing.assert_close(y, x * (1 + gate))


@pytest.mark.parametrize(("channels", "hidden"), [(2, 4), (16, 4), (48, 4), (64, 4), (384, 24)])
def test_hidden_width_is_a_sixteenth_and_never_under_four(channels, hidden):
    bam = BAM(channels)
    assert bam.channel_attention.layers[0].out_features == hidden
    assert bam.spatial_attention.layers[0].out_channels == hidden


def test_spatial_branch_sees_as_far_as_two_dilated_convolutions():
    bam = BAM(8).eval()
    x = torch.randn(1, 8, 33, 33, requires_grad=True)
    bam.spatial_attention(x)[0, 16, 16].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    # Two 3x3 convolutions with dilation 4 reach 4 + 4 pixels to each side.
    assert (rows.min().item(), rows.max().item()) == (8, 24)


def test_trains_on_a_batch_of_one():
    out = BAM(16).train()(torch.randn(1, 16, 8, 8))
    assert out.shape == (1, 16, 8, 8)


def test_the_border_prints_nothing_into_the_gate():
    torch.manual_seed(0)
    bam = BAM(8).eval()
    even = torch.randn(1, 8, 1, 1).expand(1, 8, 16, 16)
    s = bam.spatial_attention(even)
    torch.testing.assert_close(s, s[:, :1, :1].expand_as(s))
