import numpy as np
import pytest

from analyzer_service.figures.scaling import scaled, shown_size, smooth


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((128, 128, 3), (384, 384)),
        ((32, 512), (384, 24)),
        ((512, 1), (1, 384)),
        ((1, 1), (384,) * 2),
    ],
)
def test_images_fill_their_room(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert shown_size(shape, (384, 384)) == size


def test_whole_multiples_repeat_pixels() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    shown = scaled(image, (6, 6))
    assert shown.shape == (6, 6, 3)
    assert (shown[::3, ::3] == image).all()
    assert (shown[:3, :3] == image[0, 0]).all()


def test_shrinking_averages() -> None:
    values = np.float32([[0, 1], [1, 0]]).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(scaled(np.tile(values, (2, 2)), (2, 2)), 0.5, atol=1e-6)


def test_maps_are_linear_between_cell_centers() -> None:
    values = smooth(np.float32([[0, 1]]), (8, 1))[0]
    # By hand: centers of the cells at 2 and 6 of 8, pixel centers at 0.5, 1.5, ...
    expected = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_allclose(values, expected, atol=1e-6)
