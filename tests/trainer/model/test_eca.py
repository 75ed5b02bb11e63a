"""Expected values: by hand, from the paper's rule for the kernel's width."""

import pytest
import torch

from trainer.model.eca import ECA


@pytest.mark.parametrize(("channels", "width"), [(8, 3), (48, 3), (64, 3), (256, 5), (384, 5)])
def test_kernel_width_grows_with_the_logarithm_of_the_channels(channels, width):
    assert ECA(channels).conv.kernel_size == (width,)


def test_scales_each_channel_by_a_sigmoid_of_its_neighbors_means():
    eca = ECA(8)
    torch.nn.init.constant_(eca.conv.weight, 1.0)
    x = torch.arange(8.0).view(1, 8, 1, 1).expand(1, 8, 4, 4)
    y = eca(x)
    assert torch.allclose(y[0, 3], 3 * torch.sigmoid(torch.tensor(2.0 + 3 + 4)))
    assert torch.allclose(y[0, 0], torch.tensor(0.0))
    assert torch.allclose(y[0, 7], 7 * torch.sigmoid(torch.tensor(6.0 + 7)))
