"""Captures on a GPU: equal to a synchronous copy, and never waiting for the device."""

import time

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.messages import Sample
from tests.cuda.buffers import SAMPLES, Buffers, churn, expect_frame, wait_ready
from trainer.capture.cuda import CudaCapturer, pin
from trainer.capture.settings import CaptureSettings
from trainer.capture.slots import power_of_two
from trainer.capture.timing import CudaClock
from trainer.capture.values import StepValues
from trainer.publish import Capture, CaptureLost
from trainer.publish.arrays import as_uint8_images

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature"),
]

STEPS = 50
MIB = 1 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_equal_a_synchronous_copy_while_buffers_are_overwritten(
    device: torch.device, dtype: torch.dtype
) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=STEPS))
    buffers = Buffers(device, dtype)
    expected: list[dict[str, Tensor]] = []
    captures: list[Capture] = []
    for _ in range(STEPS):
        buffers.overwrite()
        expected.append(buffers.on_host())
        with torch.cuda.stream(capturer._stream):
            torch.cuda._sleep(3_000_000)  # the copies come late
        captures.append(capturer.capture(buffers.values()))
        buffers.overwrite()  # the next step's work, queued right behind
        churn(device)
    for capture, step in zip(captures, expected, strict=True):
        wait_ready(capture)
        assert capture.scalars() == {"loss": float(step["loss"]), "plain": 3.0}
        expect_frame(capture.frame(), step)
        capture.drop_frame()


def test_slots_that_are_used_again_never_mix_frames(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=2))
    delivered = 0
    buffers = Buffers(device)
    waiting: list[tuple[float, Capture]] = []
    for step in range(STEPS):
        level = step / STEPS
        buffers.clean.fill_(level)
        buffers.output.fill_(level)
        waiting.append((level, capturer.capture(buffers.values())))
        buffers.clean.fill_(1.0)
        if len(waiting) < 2:
            continue
        level, capture = waiting.pop(0)
        wait_ready(capture)
        frame = capture.frame()
        assert (frame.input == round(level * 255)).all()
        assert (frame.reconstruction == round(level * 255)).all()
        capture.drop_frame()
        delivered += 1
    assert delivered == STEPS - 1


def test_no_free_slot_drops_the_frame_and_keeps_the_scalars(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=1))
    buffers = Buffers(device)
    first, second = capturer.capture(buffers.values()), capturer.capture(buffers.values())
    wait_ready(second)
    assert second.scalars()["loss"] == float(buffers.loss)
    with pytest.raises(CaptureLost) as lost:
        second.frame()
    assert lost.value.reason == "no_slot"
    wait_ready(first)
    assert first.frame().input.shape == (SAMPLES, 128, 128, 3)
    first.drop_frame()
    third = capturer.capture(buffers.values())
    wait_ready(third)
    assert third.frame().input.shape == (SAMPLES, 128, 128, 3)


def test_a_frame_that_is_dropped_while_it_is_copied_leaves_its_slot_to_nobody(
    device: torch.device,
) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=1))
    buffers = Buffers(device)
    wait_ready(capturer.capture(buffers.values()))  # given up: its slot is free again
    with torch.cuda.stream(capturer._stream):
        torch.cuda._sleep(500_000_000)
    dropped = capturer.capture(buffers.values())
    dropped.drop_frame()
    buffers.overwrite()
    with pytest.raises(CaptureLost, match="no_slot"):
        capturer.capture(buffers.values()).frame()
    torch.cuda.synchronize()
    step = buffers.on_host()
    last = capturer.capture(buffers.values())
    wait_ready(last)
    expect_frame(last.frame(), step)


def test_what_a_copy_reads_or_writes_is_pinned_and_contiguous(device: torch.device) -> None:
    """Else the driver would copy by way of pageable memory, and wait, without saying so."""
    capturer = CudaCapturer(device, CaptureSettings())
    capture = capturer.capture(Buffers(device).values())
    for slot in (capture._slot, capture._numbers._slot):
        assert slot is not None
        assert slot.buffer.is_pinned()
        assert all(tensor.is_contiguous() and tensor.is_cuda for tensor in slot.sources)
    wait_ready(capture)


@pytest.mark.parametrize("nbytes", [1, 4097, 3 * MIB])
def test_pinned_memory_takes_what_is_counted(nbytes: int) -> None:
    """PyTorch rounds up to powers of two; the pool counts what it asks for: powers of two."""
    before = torch.cuda.host_memory_stats()["allocated_bytes.current"]
    kept = pin(power_of_two(nbytes))
    grown = torch.cuda.host_memory_stats()["allocated_bytes.current"] - before
    assert grown in (0, kept.nbytes)  # 0: PyTorch had a block of this size left


def test_in_training_nothing_is_pinned_any_more(device: torch.device) -> None:
    images = SAMPLES * 128 * 128 * 2 * 3
    capturer = CudaCapturer(device, CaptureSettings(frame_bytes=int(images * 1.25)))
    before = torch.cuda.host_memory_stats()["num_host_alloc"]
    buffers = Buffers(device)
    for _ in range(2 * STEPS):
        capture = capturer.capture(buffers.values())
        wait_ready(capture)
        capture.scalars()
        capture.drop_frame()
    assert torch.cuda.host_memory_stats()["num_host_alloc"] == before


def test_what_validation_captured_does_not_disturb_training(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=1))
    for inference in (True, False, True, False):
        with torch.inference_mode(inference):
            buffers = Buffers(device)
            step = buffers.on_host()
            capture = capturer.capture(buffers.values())
        wait_ready(capture)
        assert capture.scalars()["loss"] == float(step["loss"])
        expect_frame(capture.frame(), step)
        capture.drop_frame()


def test_capturing_waits_for_nothing(device: torch.device, no_waiting: None) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    for _ in range(3):
        capture = capturer.capture(buffers.values())
        buffers.overwrite()
    wait_ready(capture)
    assert capture.frame().input.shape == (SAMPLES, 128, 128, 3)


def test_capturing_returns_while_the_device_is_busy(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    wait_ready(capturer.capture(buffers.values()))  # slots are made, kernels loaded
    torch.cuda.synchronize()
    torch.cuda._sleep(2_000_000_000)  # about a second of device time
    began_s = time.monotonic()
    capture = capturer.capture(buffers.values())
    took_s = time.monotonic() - began_s
    assert not capture.ready()
    assert took_s < 0.3
    wait_ready(capture)


def test_tensors_of_another_stream_are_read_before_their_memory_is_used_again(
    device: torch.device,
) -> None:
    """A prefetcher's stream: its tensors are let go while the step's stream still reads them."""
    capturer = CudaCapturer(device, CaptureSettings())
    wait_ready(capturer.capture(Buffers(device).values()))
    torch.cuda.synchronize()
    side = torch.cuda.Stream(device)
    for level in (0.2, 0.4, 0.6):
        with torch.cuda.stream(side):
            clean = torch.full((8, 3, 128, 128), level, device=device)
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda._sleep(200_000_000)  # the reductions come late
        capture = capturer.capture(images_only(clean, clean))
        del clean
        with torch.cuda.stream(side):  # does not wait for the reductions
            for _ in range(4):
                torch.full((8, 3, 128, 128), 0.9, device=device)
        wait_ready(capture)
        assert (capture.frame().input == round(level * 255)).all()
        capture.drop_frame()


def test_a_step_on_a_stream_of_its_own_is_captured_there(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    for _ in range(5):
        with torch.cuda.stream(side):
            torch.cuda._sleep(20_000_000)
            buffers.overwrite()
            kept = {name: tensor.clone() for name, tensor in vars(buffers).items()}
            capture = capturer.capture(buffers.values())
            buffers.overwrite()
        wait_ready(capture)
        side.synchronize()
        expect_frame(capture.frame(), {name: tensor.cpu() for name, tensor in kept.items()})
        capture.drop_frame()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_device_that_is_not_the_current_one() -> None:
    other = torch.device("cuda", 1)
    with torch.cuda.device(0):
        capturer = CudaCapturer(other, CaptureSettings())
        buffers = Buffers(other)
        step = buffers.on_host()
        values = buffers.values()
        values.scalars["of the first device"] = torch.tensor(0.5, device="cuda:0")
        capture = capturer.capture(values)
        assert torch.cuda.current_device() == 0
        wait_ready(capture)
        assert capture.scalars()["of the first device"] == 0.5
        expect_frame(capture.frame(), step)


def images_only(clean: Tensor, output: Tensor) -> StepValues:
    return StepValues(
        input=clean,
        reconstruction=output,
        maps=(),
        samples=lambda n: tuple(Sample(id=str(i)) for i in range(n)),
        frame_samples=SAMPLES,
        scalars={},
    )


@pytest.mark.parametrize("form", ["uint8", "gray", "channels last", "slice"])
def test_images_in_the_usual_forms(device: torch.device, form: str, no_waiting: None) -> None:
    images = torch.rand(8, 3, 64, 64, device=device)
    shaped = {
        "uint8": lambda: (images * 255).to(torch.uint8),
        "gray": lambda: images[:, :1],
        "channels last": lambda: images.contiguous(memory_format=torch.channels_last),
        "slice": lambda: torch.cat([images, images], dim=3)[..., 32:96],
    }[form]()
    capture = CudaCapturer(device, CaptureSettings()).capture(images_only(shaped, images))
    wait_ready(capture)
    frame = capture.frame()
    torch.cuda.set_sync_debug_mode("default")
    np.testing.assert_array_equal(frame.input, as_uint8_images(shaped[:SAMPLES].cpu().numpy()))
    np.testing.assert_array_equal(
        frame.reconstruction, as_uint8_images(images[:SAMPLES].cpu().numpy())
    )


def test_times_are_those_of_the_device(device: torch.device, no_waiting: None) -> None:
    clock = CudaClock(device)
    for _ in range(3):  # events are used again
        start = clock.mark()
        torch.cuda._sleep(100_000_000)
        end = clock.mark()
        assert start is not None
        assert end is not None
        span = clock.between(start, end)
        deadline_s = time.monotonic() + 10
        while not span.ready():
            assert time.monotonic() < deadline_s
        assert 10 < span.value() < 1000


def test_a_time_between_two_streams_is_read_when_both_are_there(device: torch.device) -> None:
    clock = CudaClock(device)
    side = torch.cuda.Stream(device)
    with torch.cuda.stream(side):
        torch.cuda._sleep(300_000_000)
        start = clock.mark()
    end = clock.mark()  # done long before `start`
    assert start is not None
    assert end is not None
    span = clock.between(start, end)
    assert not span.ready()
    side.synchronize()
    assert span.ready()
    assert span.value() == 0


def test_what_a_hand_over_takes_of_the_host(
    device: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    """The aim is 250 µs in the median, while the device has other things to do."""
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    took_us: list[float] = []
    for step in range(300):
        values = buffers.values()
        began_ns = time.perf_counter_ns()
        capture = capturer.capture(values)
        if step >= 100:
            took_us.append((time.perf_counter_ns() - began_ns) / 1000)
        wait_ready(capture)
        capture.scalars()
        capture.drop_frame()
    median, p99 = np.percentile(took_us, [50, 99])
    with capsys.disabled():
        name = torch.cuda.get_device_name(device)
        print(f"\nhand-over on {name}: median {median:.0f} µs, p99 {p99:.0f} µs of host time")
    assert median <= 250
