"""Maps against PyTorch in float64, and the device's arithmetic against NumPy's."""

import numpy as np
import pytest
import torch

from tests.trainer.capture.builders import as_uint8
from trainer.capture.device_maps import device_images, device_map
from trainer.capture.maps import bam_gate, reduce_map, to_numpy
from trainer.publish.arrays import as_uint8_images

GENERATOR = torch.Generator().manual_seed(1)


def test_bam_gate_equals_the_mean_of_sigmoids() -> None:
    c = torch.randn(2, 7, generator=GENERATOR) * 3
    s = torch.randn(2, 4, 5, generator=GENERATOR) * 3
    expected = torch.sigmoid(c.double()[:, :, None, None] + s.double()[:, None]).mean(dim=1)
    np.testing.assert_allclose(bam_gate(c.numpy(), s.numpy()), expected.numpy(), atol=1e-6)


def test_bam_gate_saturates_without_warnings() -> None:
    gate = bam_gate(np.zeros((1, 1), np.float32), np.array([[[-1000.0, 1000.0]]], np.float32))
    assert gate.tolist() == [[[0.0, 1.0]]]


def test_a_gate_that_is_not_a_number_stays_one() -> None:
    gate = bam_gate(np.zeros((1, 2), np.float32), np.array([[[np.nan, 0.0]]], np.float32))
    assert np.isnan(gate[0, 0, 0])
    assert gate[0, 0, 1] == 0.5


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5, 6)])
def test_maps_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        reduce_map("gate", [np.zeros(shape)])
    with pytest.raises(ValueError, match="must be"):
        device_map("gate", (torch.zeros(shape),), first=4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_to_numpy_keeps_every_value(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, generator=GENERATOR).to(dtype)
    np.testing.assert_array_equal(to_numpy(values).astype(np.float64), values.double().numpy())
    assert not np.isnan(to_numpy(torch.tensor([float("inf")], dtype=dtype))).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_on_a_device_equal_those_on_the_sender_thread(channels: int) -> None:
    images = torch.randn(5, channels, 8, 9, generator=GENERATOR) * 0.7 + 0.5
    images[0, 0, 0, :3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    before = images.clone()
    on_device = device_images(images, images.flip(0), first=4)
    assert on_device.is_contiguous()
    shown = on_device.numpy()
    np.testing.assert_array_equal(shown[0], as_uint8_images(images[:4].numpy()))
    np.testing.assert_array_equal(shown[1], as_uint8_images(images.flip(0)[:4].numpy()))
    assert shown[0, 0, 0, :3, 0].tolist() == [0, 255, 0]
    finite = as_uint8(images[1:4].expand(-1, 3, -1, -1))
    np.testing.assert_array_equal(shown[0, 1:], finite)
    torch.testing.assert_close(images, before, rtol=0, atol=0, equal_nan=True)


FORMS = {
    "float32": lambda images: images,
    "float64": lambda images: images.double(),
    "bfloat16": lambda images: images.bfloat16(),
    "uint8": lambda images: (images * 255).to(torch.uint8),
    "gray": lambda images: images[:, :1],
    "channels last": lambda images: images.contiguous(memory_format=torch.channels_last),
    "slice": lambda images: torch.cat([images, images], dim=3)[..., :9],
}


@pytest.mark.parametrize("clean", FORMS)
@pytest.mark.parametrize("output", FORMS)
def test_the_two_images_may_come_in_different_forms(clean: str, output: str) -> None:
    images = torch.rand(5, 3, 8, 9, generator=GENERATOR)
    pair = FORMS[clean](images), FORMS[output](images.flip(0))
    before = [image.clone() for image in pair]
    on_device = device_images(*pair, first=4)
    assert on_device.is_contiguous()
    for shown, image in zip(on_device.numpy(), pair, strict=True):
        np.testing.assert_array_equal(shown, as_uint8_images(to_numpy(image[:4])))
    for image, was in zip(pair, before, strict=True):
        torch.testing.assert_close(image, was, rtol=0, atol=0)


def test_two_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        device_images(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 4), first=4)


@pytest.mark.parametrize(
    ("form", "shapes"),
    [
        ("bam", [(5, 7), (5, 4, 6)]),
        ("bam", [(5, 7, 1, 1), (5, 1, 4, 6)]),
        ("gate", [(5, 4, 6)]),
        ("gate", [(5, 7, 4, 6)]),
        ("activation", [(5, 7, 4, 6)]),
    ],
)
def test_maps_on_a_device_equal_those_on_the_sender_thread(
    form: str, shapes: list[tuple[int, ...]]
) -> None:
    tensors = tuple(torch.randn(shape, generator=GENERATOR) for shape in shapes)
    on_device = device_map(form, tensors, first=4)  # type: ignore[arg-type]
    expected = reduce_map(form, [t[:4].numpy() for t in tensors])  # type: ignore[arg-type]
    assert on_device.is_contiguous()
    assert expected.shape == (4, 4, 6)
    np.testing.assert_allclose(on_device.numpy(), expected, atol=1e-6)
