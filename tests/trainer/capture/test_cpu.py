"""Captures on a CPU: correct, or lost with a reason; never wrong."""

import threading
import weakref

import numpy as np
import pytest
import torch

from tests.trainer.capture.builders import as_uint8, make_values, tiles
from trainer.capture.cpu import SETTLE_S, SETTLE_S_PER_BYTE, CpuCapture, CpuReader
from trainer.capture.held import hold
from trainer.capture.values import MapTensors
from trainer.publish import CaptureLost

SETTLED_S = SETTLE_S + 2 * tiles(4).nbytes * SETTLE_S_PER_BYTE


class ManualClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reader(clock: ManualClock) -> CpuReader:
    return CpuReader(clock)


def test_a_frame_settles_before_it_is_trusted(reader: CpuReader, clock: ManualClock) -> None:
    capture = CpuCapture(make_values(), reader)
    assert not capture.ready()
    clock.now_s += SETTLED_S
    assert capture.ready()
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(4)))


def test_waiting_captures_settle_together(reader: CpuReader, clock: ManualClock) -> None:
    captures = [CpuCapture(make_values(), reader) for _ in range(3)]
    for capture in captures:
        assert capture.scalars_ready()  # the sender thread has taken it over
    while reader._unread:
        captures[0].ready()
    clock.now_s += SETTLED_S
    assert [capture.ready() for capture in captures] == [True, True, True]


def test_copies_that_settle_are_bounded_in_bytes(
    reader: CpuReader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = 2 * tiles(4).numel()  # input and reconstruction, a byte a number
    monkeypatch.setattr("trainer.capture.cpu.READ_AHEAD_BYTES", 2 * copied)
    captures = [CpuCapture(make_values(), reader) for _ in range(5)]
    for capture in captures:
        capture.scalars_ready()
    for oldest in range(5):
        for _ in range(10):
            captures[oldest].ready()
        assert [c.copied_bytes for c in captures[oldest:]] == [copied] * min(2, 5 - oldest) + [
            0
        ] * (3 - oldest)
        clock.now_s += SETTLED_S
        assert captures[oldest].ready()
        captures[oldest].frame()
        captures[oldest].drop_frame()


def test_what_nobody_takes_over_is_kept_by_nobody(reader: CpuReader) -> None:
    capture = CpuCapture(make_values(), reader)
    gone = weakref.ref(capture)
    del capture
    assert gone() is None


@pytest.mark.parametrize("written_after_copying", [False, True])
def test_a_write_before_or_after_copying_is_noticed(
    reader: CpuReader, clock: ManualClock, written_after_copying: bool
) -> None:
    images = tiles(4)
    capture = CpuCapture(make_values(input=images), reader)
    if written_after_copying:
        capture.ready()
    images.mul_(0.5)
    capture.ready()
    clock.now_s += SETTLED_S
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "changed_in_place"


def test_a_write_under_way_while_copying_is_noticed() -> None:
    """The version rises only as an operation ends; a copy made before that is not trusted."""
    large = torch.zeros(80_000, 3, 16, 16)
    first_value = large.view(-1)[:1].numpy()
    capture = CpuCapture(
        make_values(input=large, reconstruction=large, frame_samples=1), CpuReader()
    )
    writer = threading.Thread(target=large.add_, args=(1,))
    writer.start()
    while first_value[0] == 0:  # from here on the frame's samples are being overwritten
        pass
    while not capture.ready():
        pass
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    writer.join()
    assert lost.value.reason == "changed_in_place"


def test_tensors_of_inference_mode_are_copied_at_once(
    reader: CpuReader, clock: ManualClock
) -> None:
    with torch.inference_mode():
        images = tiles(4).clone()
        capture = CpuCapture(make_values(input=images, reconstruction=images), reader)
        images.zero_()
    capture.ready()
    clock.now_s += SETTLED_S
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(4)))


def test_nbytes_is_what_is_kept_alive(reader: CpuReader) -> None:
    batch, output = tiles(12), tiles(12).clone()
    gate = torch.rand(12, 5, 8, 8)
    maps = (MapTensors("gate", "gate", (hold(gate, first=4),)),)
    capture = CpuCapture(make_values(input=batch, reconstruction=output, maps=maps), reader)
    # Whole batches stay alive although only four samples are needed.
    assert capture.nbytes == batch.nbytes + output.nbytes + gate.nbytes


def test_shared_storage_is_counted_once(reader: CpuReader) -> None:
    batch = tiles(12)
    assert CpuCapture(make_values(input=batch, reconstruction=batch), reader).nbytes == batch.nbytes


def test_a_slice_of_something_large_is_copied_not_kept(reader: CpuReader) -> None:
    everything = tiles(1000)
    batch = everything[8:16]
    capture = CpuCapture(make_values(input=batch, reconstruction=batch), reader)
    assert capture.nbytes == 2 * batch[:4].nbytes
    everything.zero_()  # the copies are not touched
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(1000)[8:12]))


def test_without_images_there_is_no_frame(reader: CpuReader) -> None:
    capture = CpuCapture(make_values(input=None, scalars={"loss": torch.tensor(0.5)}), reader)
    assert (capture.nbytes, capture.ready(), capture.scalars()) == (0, True, {"loss": 0.5})


def test_a_dropped_frame_is_let_go_and_its_scalars_stay(reader: CpuReader) -> None:
    capture = CpuCapture(make_values(scalars={"loss": 1.0, "nan": float("nan")}), reader)
    capture.drop_frame()
    assert capture.ready()
    assert capture.scalars()["loss"] == 1.0
    with pytest.raises(CaptureLost):
        capture.frame()


def test_scalars_are_those_of_the_steps_end(reader: CpuReader) -> None:
    loss = torch.tensor(2.0)
    capture = CpuCapture(make_values(scalars={"loss": loss}), reader)
    loss.zero_()
    assert capture.scalars() == {"loss": 2.0}


def test_images_that_cannot_be_shown_cost_the_frame_only(reader: CpuReader) -> None:
    four = torch.rand(4, 4, 8, 8)
    values = make_values(input=four, reconstruction=four, scalars={"loss": 1.0})
    capture = CpuCapture(values, reader)
    while not capture.ready():
        pass
    assert capture.scalars() == {"loss": 1.0}
    with pytest.raises(ValueError, match="1 or 3 channels"):
        capture.frame()
