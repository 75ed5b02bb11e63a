"""Expected values: scikit-image's structural similarity."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from trainer.quality import ssim


@pytest.mark.parametrize("shape", [(2, 3, 64, 48), (1, 1, 11, 11), (1, 3, 13, 40)])
def test_equals_scikit_image_within_its_valid_region(shape):
    rng = np.random.default_rng(5)
    x = rng.random(shape).astype(np.float32)
    y = np.clip(x + rng.normal(0, 0.1, shape), 0, 1).astype(np.float32)
    got = ssim(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    for i in range(shape[0]):
        expected = structural_similarity(
            x[i].astype(np.float64),
            y[i].astype(np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=0,
        )
        assert got[i] == pytest.approx(expected, abs=2e-6)


def test_is_undefined_where_the_window_does_not_fit():
    assert torch.isnan(ssim(torch.rand(2, 3, 10, 64), torch.rand(2, 3, 10, 64))).all()


def test_stays_in_full_precision_under_autocast():
    x, y = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ssim(x, y)
    torch.testing.assert_close(inside, ssim(x, y))
