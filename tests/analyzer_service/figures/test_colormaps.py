import numpy as np
import pytest

from analyzer_service.figures.colormaps import (
    ATTENTION_LIMIT,
    ERROR_LIMIT,
    attention_image,
    dimmed_image,
    error_image,
    luminance,
)


def color_of_error(value: float) -> tuple[int, int, int]:
    red, green, blue = error_image(np.full((1, 1), value, np.float32))[0, 0].tolist()
    return red, green, blue


def test_no_error_is_green_and_high_error_is_red() -> None:
    red, green, blue = color_of_error(0.0)
    assert green > red + 60
    assert green > blue + 30
    red, green, blue = color_of_error(ERROR_LIMIT)
    assert red > green + 100
    assert red > blue + 100


def test_errors_turn_from_green_to_red_without_going_back() -> None:
    colors = error_image(np.linspace(0, ERROR_LIMIT, 200, dtype=np.float32)[None])[0].astype(int)
    redness = colors[:, 0] - colors[:, 1]
    assert (np.diff(redness) >= -1).all()


def test_the_error_scale_is_fixed() -> None:
    alone, beside = error_image(np.float32([[0.1]])), error_image(np.float32([[0.1, 0.9]]))
    assert (alone[0, 0] == beside[0, 0]).all()
    assert color_of_error(1.0) == color_of_error(ERROR_LIMIT)


@pytest.mark.parametrize("gray", [0.0, 0.5, 1.0])
def test_attention_goes_from_blue_over_yellow_to_red_on_any_tissue(gray: float) -> None:
    density = np.float32([[0.0, ATTENTION_LIMIT / 2, ATTENTION_LIMIT]])
    none, middle, strong = attention_image(density, np.full((1, 3), gray))[0].astype(int).tolist()
    assert none[2] > none[0] + 40
    assert min(middle[0], middle[1]) > middle[2] + 40
    assert strong[0] > max(strong[1], strong[2]) + 60


def test_an_image_without_attention_stays_gray() -> None:
    image = dimmed_image(np.linspace(0, 1, 12).reshape(3, 4))
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 1] == image[..., 2]).all()


def test_luminance_of_black_green_and_white() -> None:
    image = np.array([[[0, 0, 0], [0, 255, 0], [255, 255, 255]]], dtype=np.uint8)
    # ITU-R BT.709: the weights of scikit-image's rgb2gray.
    np.testing.assert_allclose(luminance(image), [[0.0, 0.7154, 1.0]], atol=1e-12)
