"""Captures on a CPU: correct, or lost with a reason; never wrong."""

import threading
import weakref

import numpy as np
import pytest
import torch

from tests.trainer.capture.builders import (
    FixedMemory,
    as_uint8,
    make_capture,
    make_watched,
    tiles,
)
from trainer.capture.cpu import SETTLE_S, SETTLE_S_PER_BYTE, CpuReader
from trainer.capture.held import keep
from trainer.publish import CaptureLost

MEASURED_BYTES = 12_345  # what the last measured capture takes
SETTLED_S = SETTLE_S + 2 * tiles(4).nbytes * SETTLE_S_PER_BYTE


class ManualClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["first step", "sender keeps up"])
def reader(clock: ManualClock, request: pytest.FixtureRequest) -> CpuReader:
    """Before anything was measured, and when the sender thread does that."""
    reader = CpuReader(make_watched(), clock)
    if request.param == "sender keeps up":
        reader.meter.nbytes = MEASURED_BYTES
    return reader


@pytest.fixture
def fresh_reader(clock: ManualClock) -> CpuReader:
    return CpuReader(make_watched(), clock)


def test_a_frame_settles_before_it_is_trusted(reader: CpuReader, clock: ManualClock) -> None:
    capture = make_capture(reader)
    assert not capture.ready()
    clock.now_s += SETTLED_S
    assert capture.ready()
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(4)))


def test_waiting_captures_settle_together(reader: CpuReader, clock: ManualClock) -> None:
    captures = [make_capture(reader) for _ in range(3)]
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
    captures = [make_capture(reader) for _ in range(5)]
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
    capture = make_capture(reader)
    gone = weakref.ref(capture)
    del capture
    assert gone() is None


@pytest.mark.parametrize("written_after_copying", [False, True])
def test_a_write_before_or_after_copying_is_noticed(
    reader: CpuReader, clock: ManualClock, written_after_copying: bool
) -> None:
    images = tiles(4)
    capture = make_capture(reader, images=(images, tiles(4)))
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
    reader = CpuReader(make_watched(frame_samples=1))
    capture = make_capture(reader, images=(large, large))
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
        capture = make_capture(reader, images=(images, images))
        images.zero_()
    capture.ready()
    clock.now_s += SETTLED_S
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(4)))


def test_nbytes_is_what_is_kept_alive(fresh_reader: CpuReader) -> None:
    batch, output = tiles(12), tiles(12).clone()
    gate = torch.rand(12, 5, 8, 8)
    kept = (keep(gate, first=4), None)
    capture = make_capture(fresh_reader, images=(batch, output), kept=kept)
    # Whole batches stay alive although only four samples are needed.
    assert capture.nbytes == batch.nbytes + output.nbytes + gate.nbytes


def test_shared_storage_is_counted_once(fresh_reader: CpuReader) -> None:
    batch = tiles(12)
    assert make_capture(fresh_reader, images=(batch, batch)).nbytes == batch.nbytes


def test_while_the_sender_keeps_up_a_capture_counts_what_the_last_one_took(
    fresh_reader: CpuReader,
) -> None:
    sizes = []
    for count in (4, 8, 12):
        capture = make_capture(fresh_reader, images=(tiles(count), tiles(count)))
        sizes.append(capture.nbytes)
        capture.scalars_ready()  # the sender thread takes it over, and measures
        assert capture.nbytes == 2 * tiles(count).nbytes
    assert sizes == [2 * tiles(count).nbytes for count in (4, 4, 8)]


def test_two_captures_at_most_wait_to_be_measured(fresh_reader: CpuReader) -> None:
    make_capture(fresh_reader).scalars_ready()
    waiting = [make_capture(fresh_reader, images=(tiles(12), tiles(12))) for _ in range(4)]
    small, large = 2 * tiles(4).nbytes, 2 * tiles(12).nbytes
    assert [capture.nbytes for capture in waiting] == [small, small, large, large]
    for capture in waiting:
        capture.drop_frame()  # let go before the sender got there
        capture.scalars_ready()
    assert make_capture(fresh_reader, images=(tiles(8), tiles(8))).nbytes == small


def test_a_slice_of_something_large_is_copied_not_kept(fresh_reader: CpuReader) -> None:
    everything = tiles(1000)
    batch = everything[8:16]
    capture = make_capture(fresh_reader, images=(batch, batch))
    assert capture.nbytes == 2 * batch[:4].nbytes
    everything.zero_()  # the copies are not touched
    np.testing.assert_array_equal(capture.frame().input, as_uint8(tiles(1000)[8:12]))


def test_slices_are_copied_once_the_sender_has_seen_one(
    fresh_reader: CpuReader, clock: ManualClock
) -> None:
    make_capture(fresh_reader).scalars_ready()
    everything = tiles(1000)
    first, second = everything[8:16], everything[16:24]
    held = make_capture(fresh_reader, images=(first, first))
    assert held.nbytes == 2 * tiles(4).nbytes  # as the last one; the inbox counts that
    while not held.ready():
        clock.now_s += SETTLED_S
    np.testing.assert_array_equal(held.frame().input, as_uint8(first[:4]))
    for _ in range(2):
        copied = make_capture(fresh_reader, images=(second, second))
        assert copied.nbytes == 2 * second[:4].nbytes
    everything.zero_()
    np.testing.assert_array_equal(copied.frame().input, as_uint8(tiles(1000)[16:20]))


def test_memory_that_was_freed_is_a_lost_frame_and_no_crash(
    reader: CpuReader, clock: ManualClock
) -> None:
    images = tiles(4)
    capture = make_capture(reader, images=(images, images.clone()))
    images.untyped_storage().resize_(0)
    capture.ready()
    clock.now_s += SETTLED_S
    assert capture.ready()
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "changed_in_place"


def test_without_images_there_is_no_frame(reader: CpuReader) -> None:
    capture = make_capture(reader, images=(None, tiles(4)), loss=torch.tensor(0.5))
    assert (capture.nbytes, capture.ready()) == (0, True)
    assert capture.scalars() == {"loss": 0.5, "learning_rate": 0.1, "memory_mb": FixedMemory.MB}


def test_a_dropped_frame_is_let_go_and_its_scalars_stay(reader: CpuReader) -> None:
    capture = make_capture(reader, loss=1.0, logged={"nan": float("nan")})
    capture.drop_frame()
    assert capture.ready()
    assert capture.scalars()["loss"] == 1.0
    with pytest.raises(CaptureLost):
        capture.frame()


def test_scalars_are_those_of_the_steps_end(reader: CpuReader) -> None:
    loss, mine = torch.tensor(2.0), torch.full((1, 1), 3.0)
    capture = make_capture(reader, loss=loss, logged={"mine": mine, "mse": 4, "none": None})
    loss.zero_()
    mine.zero_()
    scalars = capture.scalars()
    assert (scalars["loss"], scalars["mine"], scalars["user_mse"]) == (2.0, 3.0, 4.0)
    assert not {"none", "mse"} & scalars.keys()


def test_images_that_cannot_be_shown_cost_the_frame_only(reader: CpuReader) -> None:
    four = torch.rand(4, 4, 8, 8)
    capture = make_capture(reader, images=(four, four), loss=1.0)
    while not capture.ready():
        pass
    assert capture.scalars()["loss"] == 1.0
    with pytest.raises(ValueError, match="1 or 3 channels"):
        capture.frame()
