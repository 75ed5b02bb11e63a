"""What of a GPU capture needs no GPU: layout, losses, and who gives the slot back."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.capture.builders import as_uint8, make_values, tiles
from tests.trainer.capture.test_slots import ManualEvent, make_pool
from trainer.capture.cuda import CudaCapture, lay_out
from trainer.capture.held import hold
from trainer.capture.numbers import DeviceNumbers
from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import MapTensors, StepValues
from trainer.publish import CaptureLost


class HostCopier:
    """Copies at once, into ordinary memory; the event is fired by the test."""

    def __init__(self, pool: SlotPool) -> None:
        self.pool = pool
        self.event = ManualEvent()

    def send(self, tensors: list[Tensor], nbytes: int) -> Slot | None:
        slot = self.pool.acquire(nbytes)
        if slot is not None:
            slot.event = self.event
            for region, tensor in zip(lay_out(tensors)[0], tensors, strict=True):
                region.of(slot.buffer).copy_(tensor)
        return slot


def make_capture(copier: HostCopier, values: StepValues) -> CudaCapture:
    numbers = DeviceNumbers(values.scalars, copier.send, copier.pool)
    return CudaCapture(values, numbers, copier.send, copier.pool)


def two_gates() -> tuple[MapTensors, ...]:
    odd, even = torch.rand(4, 3, 3), torch.rand(4, 2, 4, 4)
    return (
        MapTensors("odd", "gate", (hold(odd, first=4),)),
        MapTensors("kan", "activation", (hold(even, first=4),)),
    )


def test_arrays_come_back_as_they_went_in() -> None:
    copier = HostCopier(make_pool(total_bytes=1 << 20))
    maps = two_gates()
    capture = make_capture(copier, make_values(maps=maps))
    assert not capture.ready()
    copier.event.done = True
    assert capture.ready()
    frame = capture.frame()
    np.testing.assert_array_equal(frame.input, as_uint8(tiles(4)))
    np.testing.assert_array_equal(frame.reconstruction, as_uint8(tiles(4).flip(0)))
    np.testing.assert_array_equal(frame.attention["odd"], maps[0].held[0].tensor.numpy())
    expected = maps[1].held[0].tensor.abs().mean(dim=1).numpy()
    np.testing.assert_allclose(frame.activation["kan"], expected, rtol=1e-6)


def test_frames_own_their_memory_when_the_slot_is_used_again() -> None:
    copier = HostCopier(make_pool(count=1, total_bytes=1 << 20))
    copier.event.done = True
    first = make_capture(copier, make_values())
    frame = first.frame()
    first.drop_frame()
    second = make_capture(copier, make_values(input=tiles(4) * 0))
    assert not second.frame().input.any()
    np.testing.assert_array_equal(frame.input, as_uint8(tiles(4)))


def test_no_free_slot_is_a_counted_loss_and_scalars_still_go() -> None:
    copier = HostCopier(make_pool(count=0))
    capture = make_capture(copier, make_values(scalars={"loss": 2.0}))
    assert capture.nbytes > 0  # the frame is offered, so that its loss is counted
    assert capture.ready()
    assert capture.scalars() == {"loss": 2.0}
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "no_slot"


def test_a_slot_that_is_being_read_is_not_given_away() -> None:
    copier = HostCopier(make_pool(count=1, total_bytes=1 << 20))
    copier.event.done = True
    capture = make_capture(copier, make_values())
    with capture._lock:  # the sender thread is reading
        capture.drop_frame()
        assert copier.pool.acquire(10) is None
    capture.drop_frame()
    assert copier.pool.acquire(10) is not None


def test_an_evicted_frame_is_lost_as_such() -> None:
    copier = HostCopier(make_pool(total_bytes=1 << 20))
    capture = make_capture(copier, make_values())
    capture.drop_frame()
    assert capture.ready()
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "queue_full"


def test_images_that_cannot_be_shown_cost_the_frame_only() -> None:
    copier = HostCopier(make_pool(total_bytes=1 << 20))
    values = make_values(input=torch.rand(4, 4, 8, 8), scalars={"loss": 1.0})
    capture = make_capture(copier, values)
    assert capture.nbytes > 0
    assert capture.scalars() == {"loss": 1.0}
    with pytest.raises(ValueError, match="1 or 3 channels"):
        capture.frame()
