"""What of a GPU capture needs no GPU: layout, losses, and who gives the slot back."""

import gc
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainer.capture.builders import as_uint8, make_values, tiles
from tests.trainer.capture.test_slots import ManualEvent, make_pool
from trainer.capture.cuda import CudaCapture, CudaCapturer, lay_out
from trainer.capture.device_events import ignore_captures_of_others, is_done
from trainer.capture.held import hold
from trainer.capture.numbers import NUMBER_SLOT_BYTES
from trainer.capture.settings import CaptureSettings
from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import MapTensors, StepValues
from trainer.publish import CaptureLost
from trainer.publish.contract import ValuesLost

CPU = torch.device("cpu")
MIB = 1 << 20


class HostCopier:
    """Copies at once, into ordinary memory; the event is fired by the test."""

    def __init__(self, *, count: int = 2, number_count: int = 100) -> None:
        self.pool = make_pool(count=count, total_bytes=MIB)
        self.numbers = make_pool(count=number_count, total_bytes=MIB)
        self.event = ManualEvent()

    def copy(self, slot: Slot, tensors: list[Tensor]) -> None:
        slot.event = self.event
        for region, tensor in zip(lay_out(tensors)[0], tensors, strict=True):
            region.of(slot.buffer).copy_(tensor)

    def capture(self, values: StepValues) -> CudaCapture:
        capture = CudaCapture(values, CPU, frames=self.pool, numbers=self.numbers)
        capture.send(self.copy)
        return capture


def two_gates() -> tuple[MapTensors, ...]:
    odd, even = torch.rand(4, 3, 3), torch.rand(4, 2, 4, 4)
    return (
        MapTensors("odd", "gate", (hold(odd, first=4),)),
        MapTensors("kan", "activation", (hold(even, first=4),)),
    )


def test_arrays_come_back_as_they_went_in() -> None:
    copier = HostCopier()
    maps = two_gates()
    capture = copier.capture(make_values(maps=maps))
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
    copier = HostCopier(count=1)
    copier.event.done = True
    first = copier.capture(make_values())
    frame = first.frame()
    first.drop_frame()
    second = copier.capture(make_values(input=tiles(4) * 0))
    assert not second.frame().input.any()
    np.testing.assert_array_equal(frame.input, as_uint8(tiles(4)))


def test_no_free_slot_is_a_counted_loss_and_scalars_still_go() -> None:
    copier = HostCopier(count=0)
    capture = copier.capture(make_values(scalars={"loss": 2.0}))
    assert capture.nbytes > 0  # the frame is offered, so that its loss is counted
    assert capture.ready()
    assert capture.scalars() == {"loss": 2.0}
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "no_slot"


def test_a_slot_that_is_being_read_is_not_given_away() -> None:
    copier = HostCopier(count=1)
    copier.event.done = True
    capture = copier.capture(make_values())
    with capture._lock:  # the sender thread is reading
        capture.drop_frame()
        assert copier.pool.acquire(10) is None
    capture.drop_frame()
    assert copier.pool.acquire(10) is not None


def test_an_evicted_frame_is_lost_as_such() -> None:
    capture = HostCopier().capture(make_values())
    capture.drop_frame()
    assert capture.ready()
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "queue_full"


def test_images_that_cannot_be_shown_cost_the_frame_only() -> None:
    values = make_values(input=torch.rand(4, 4, 8, 8), scalars={"loss": 1.0})
    capture = HostCopier().capture(values)
    assert capture.nbytes > 0
    assert capture.scalars() == {"loss": 1.0}
    with pytest.raises(ValueError, match="1 or 3 channels"):
        capture.frame()


def test_slots_of_captures_that_nobody_took_over_are_used_again() -> None:
    copier = HostCopier(count=1)
    copier.event.done = True
    for _ in range(3):
        capture = copier.capture(make_values())
        assert capture.frame() is not None
        del capture
        gc.collect()


def test_a_copy_that_fails_costs_the_frame_and_not_the_slot() -> None:
    copier = HostCopier(count=1)
    broken = CudaCapture(make_values(), CPU, frames=copier.pool, numbers=copier.numbers)

    def fail(slot: Slot, tensors: list[Tensor]) -> None:
        raise RuntimeError("CUDA error")

    broken.send(fail)
    with pytest.raises(RuntimeError, match="CUDA error"):
        broken.frame()
    broken.drop_frame()
    copier.event.done = True
    assert copier.capture(make_values()).frame() is not None


class OnDevice(torch.Tensor):
    """A CPU tensor that says that it is on a device, for scalars' sake."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("meta")


def on_device(value: float) -> Tensor:
    return torch.tensor(value).as_subclass(OnDevice)


def test_numbers_of_a_device_come_by_one_copy_and_give_their_slot_back() -> None:
    copier = HostCopier(number_count=1)
    scalars = {"loss": on_device(0.25), "mse": on_device(0.5), "plain": 3.0}
    for _ in range(2):
        copier.event = ManualEvent()
        capture = copier.capture(make_values(scalars=scalars))
        assert not capture.scalars_ready()
        copier.event.done = True
        assert capture.scalars_ready()
        assert capture.scalars() == {"loss": 0.25, "mse": 0.5, "plain": 3.0}
    assert copier.numbers.allocated_bytes == NUMBER_SLOT_BYTES


def test_numbers_without_a_slot_are_told_not_forgotten() -> None:
    copier = HostCopier(number_count=0)
    capture = copier.capture(make_values(scalars={"loss": on_device(0.25), "plain": 3.0}))
    assert capture.scalars_ready()
    with pytest.raises(ValuesLost) as lost:
        capture.scalars()
    assert lost.value.scalars == {"plain": 3.0}


class CountKernels(TorchDispatchMode):
    """Counts operations that would be a kernel each: all but views."""

    VIEWS = frozenset(
        [
            *("slice", "permute", "detach", "expand", "unsqueeze", "view", "select", "alias"),
            *("_unsafe_view", "_reshape_alias", "as_strided", "lift_fresh", "empty"),
        ]
    )

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in self.VIEWS:
            self.kernels.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_queues_few_kernels() -> None:
    """Each costs the host microseconds, and the whole step is to cost 250 of them at most."""
    channel, spatial = torch.rand(8, 6), torch.rand(8, 4, 4)
    bam = tuple(hold(part, first=4) for part in (channel, spatial))
    activation = (hold(torch.rand(8, 5, 4, 4), first=4),)
    maps = (
        MapTensors("a", "bam", bam),
        MapTensors("b", "bam", bam),
        MapTensors("c", "activation", activation),
    )
    scalars = {"loss": on_device(1.0), "mse": on_device(2.0)}
    pools = {"frames": make_pool(total_bytes=MIB), "numbers": make_pool()}
    values = make_values(maps=maps, scalars=scalars)
    with CountKernels() as counted:
        CudaCapture(values, CPU, **pools)
    assert len(counted.kernels) <= 16, counted.kernels


class FakeStream:
    """Notes what is asked of it."""

    def __init__(self, device: Any = None) -> None:
        self.waits: list[Any] = []

    def wait_stream(self, other: Any) -> None:
        CALLS.append("wait")


class FakeEvent(ManualEvent):
    def __init__(self, enable_timing: bool = False) -> None:
        super().__init__()

    def record(self, stream: Any) -> None:
        self.done = False
        CALLS.append("record")


CALLS: list[str] = []


@pytest.fixture
def capturer(monkeypatch: pytest.MonkeyPatch) -> CudaCapturer:
    """A capturer whose device is the host, and whose calls are noted in `CALLS`."""

    def pin(nbytes: int) -> Tensor:
        with torch.inference_mode(False):
            return torch.zeros(nbytes, dtype=torch.uint8)

    def copy_(self: CudaCapturer, slot: Slot, tensors: list[Tensor]) -> None:
        CALLS.append("copy")
        copy(self, slot, tensors)

    copy = CudaCapturer._copy
    current = FakeStream()
    monkeypatch.setattr(CudaCapturer, "_copy", copy_)
    monkeypatch.setattr("trainer.capture.cuda.pin", pin)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
    CALLS.clear()
    return CudaCapturer(CPU, CaptureSettings(slot_count=2))


def finish(capture: CudaCapture) -> None:
    slot = capture._slot
    assert slot is not None
    slot.event.done = True  # type: ignore[union-attr]


def test_the_copy_stream_waits_before_it_copies_and_the_event_comes_last(
    capturer: CudaCapturer,
) -> None:
    capture = capturer.capture(make_values(scalars={"loss": on_device(1.0)}))
    assert CALLS == ["wait", "copy", "record", "copy", "record"]  # numbers, then the frame
    assert capture._slot is not None
    assert capture._slot.sources  # kept until the event is done


def test_what_validation_pinned_can_be_written_to_in_training(capturer: CudaCapturer) -> None:
    with torch.inference_mode():
        first = capturer.capture(make_values(input=tiles(4) * 1))
    finish(first)
    np.testing.assert_array_equal(first.frame().input, as_uint8(tiles(4)))
    first.drop_frame()
    with torch.enable_grad():
        second = capturer.capture(make_values())
    finish(second)
    np.testing.assert_array_equal(second.frame().input, as_uint8(tiles(4)))


def test_events_are_made_once_and_used_again(
    capturer: CudaCapturer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeEvent] = []

    class CountedEvent(FakeEvent):
        def __init__(self, enable_timing: bool = False) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(torch.cuda, "Event", CountedEvent)
    for _ in range(20):
        capture = capturer.capture(make_values())
        finish(capture)
        assert capture.frame() is not None
        capture.drop_frame()
    assert len(made) <= 2


def test_slots_for_known_frames_are_pinned_before_training(
    capturer: CudaCapturer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CaptureSettings(slot_count=4, frame_bytes=4 * 2 * 3 * 16 * 16)
    known = CudaCapturer(CPU, settings)
    assert known.frames.allocated_bytes == 4 * 8192  # 6 KiB, rounded up
    monkeypatch.setattr(SlotPool, "_add_slab", lambda *_: pytest.fail("pinned in a step"))
    capture = known.capture(make_values(scalars={"loss": on_device(1.0)}))
    finish(capture)
    assert capture.frame().input.shape == (4, 16, 16, 3)


def test_asking_an_event_needs_no_driver() -> None:
    event = ManualEvent()
    assert not is_done(event)
    event.done = True
    assert is_done(event)
    if not torch.cuda.is_available():
        assert ignore_captures_of_others() is False
