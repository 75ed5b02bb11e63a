"""Slot bookkeeping, with events that a test fires by hand; copies are tested in tests/cuda."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.capture.device_events import Event
from trainer.capture.slots import Slot, SlotPool

KIB = 1024


class ManualEvent:
    def __init__(self) -> None:
        self.done = False

    def query(self) -> bool:
        return self.done


def make_pool(**limits: Any) -> SlotPool:
    def allocate(nbytes: int) -> torch.Tensor:
        return torch.zeros(nbytes, dtype=torch.uint8)

    return SlotPool(allocate, **{"count": 2, "total_bytes": 64 * KIB, **limits})


def use(slot: Slot | None) -> tuple[Slot, ManualEvent]:
    assert slot is not None
    event = ManualEvent()
    slot.event, slot.sources = event, ["device memory"]
    return slot, event


def test_no_more_slots_than_allowed() -> None:
    pool = make_pool()
    assert pool.acquire(KIB) is not None
    assert pool.acquire(KIB) is not None
    assert pool.acquire(KIB) is None


def test_a_slot_is_used_again_only_after_its_copy_is_done() -> None:
    pool = make_pool(count=1)
    slot, event = use(pool.acquire(KIB))
    pool.release(slot)  # dropped while the copy is still under way
    assert pool.acquire(KIB) is None
    assert slot.sources == ["device memory"]  # what is being read stays alive
    event.done = True
    assert pool.acquire(KIB) is slot
    assert slot.sources is None


def test_a_slow_copy_does_not_hold_back_the_others() -> None:
    pool = make_pool()
    (slow, _), (fast, event) = use(pool.acquire(KIB)), use(pool.acquire(KIB))
    pool.release(slow)
    pool.release(fast)
    event.done = True
    assert pool.acquire(KIB) is fast
    assert pool.acquire(KIB) is None


def test_an_event_is_given_back_when_it_was_asked_for_the_last_time() -> None:
    given_back: list[Event] = []
    pool = make_pool(count=1, give_back=given_back.append)
    slot, event = use(pool.acquire(KIB))
    pool.release(slot)
    pool.acquire(KIB)
    assert given_back == []
    event.done = True
    pool.acquire(KIB)
    assert given_back == [event]


def test_memory_is_pinned_in_few_large_pieces_of_powers_of_two() -> None:
    pieces: list[int] = []

    def allocate(nbytes: int) -> torch.Tensor:
        pieces.append(nbytes)
        return torch.zeros(nbytes, dtype=torch.uint8)

    pool = SlotPool(allocate, count=20, total_bytes=1 << 20, slab_bytes=16 * KIB)
    slots = [pool.acquire(700) for _ in range(20)]
    assert pieces == [16 * KIB, 4 * KIB]  # 16 slots of 1 KiB, then 4 more
    assert pool.allocated_bytes == 20 * KIB
    buffers = [slot.buffer for slot in slots if slot is not None]
    assert {buffer.nbytes for buffer in buffers} == {KIB}
    assert len({buffer.data_ptr() for buffer in buffers}) == 20
    assert pool.acquire(1) is None


def test_slots_that_are_reserved_need_no_more_pinning() -> None:
    pieces: list[int] = []

    def allocate(nbytes: int) -> torch.Tensor:
        pieces.append(nbytes)
        return torch.zeros(nbytes, dtype=torch.uint8)

    pool = SlotPool(allocate, count=4, total_bytes=1 << 20)
    pool.reserve(3000)
    pool.reserve(3000)
    assert pieces == [4 * 4096]
    assert all(pool.acquire(nbytes) for nbytes in (4096, 3000, 1, 4000))
    assert pieces == [4 * 4096]


def test_bytes_are_bounded() -> None:
    pool = make_pool(count=5, total_bytes=5 * KIB, slab_bytes=KIB)
    slots = [pool.acquire(2000) for _ in range(3)]
    assert [slot is not None for slot in slots] == [True, True, False]
    assert pool.allocated_bytes == 4 * KIB


def free(pool: SlotPool, slot: Slot | None) -> None:
    slot, event = use(slot)
    event.done = True
    pool.release(slot)


def test_larger_frames_get_larger_slots_and_what_was_pinned_goes_on_counting() -> None:
    pool = make_pool(count=2, total_bytes=10 * KIB)
    free(pool, pool.acquire(KIB))  # two slots of 1 KiB, of which one is never used
    larger = pool.acquire(4 * KIB)
    assert larger is not None
    assert larger.buffer.nbytes == 4 * KIB
    assert pool.allocated_bytes == 10 * KIB
    free(pool, larger)
    assert pool.acquire(8 * KIB) is None
    assert pool.acquire(100) is not None  # a large slot does for a small frame
    assert pool.allocated_bytes == 10 * KIB


@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from(["take", "free", "finish"]), st.integers(1, 9000))),
)
def test_bounds_hold_after_any_history(
    count: int, total_kib: int, events: list[tuple[str, int]]
) -> None:
    pool = make_pool(count=count, total_bytes=total_kib * KIB, slab_bytes=8 * KIB)
    held: list[tuple[Slot, ManualEvent]] = []
    flying: list[tuple[Slot, ManualEvent]] = []
    for event, nbytes in events:
        if event == "take":
            slot = pool.acquire(nbytes)
            if slot is not None:
                assert slot.buffer.nbytes >= nbytes
                assert slot not in [other for other, _ in (*held, *flying)]
                held.append(use(slot))
        elif event == "free" and held:
            flying.append(held.pop(nbytes % len(held)))
            pool.release(flying[-1][0])
        elif event == "finish" and flying:
            flying.pop(nbytes % len(flying))[1].done = True
        assert pool.allocated_bytes <= total_kib * KIB
        assert len(held) + len(flying) <= count


def test_a_driver_that_pins_nothing_more_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def allocate(nbytes: int) -> torch.Tensor:
        asked.append(nbytes)
        if len(asked) > 1:
            raise RuntimeError("CUDA error: out of memory")
        return torch.zeros(nbytes, dtype=torch.uint8)

    pool = SlotPool(allocate, count=4, total_bytes=64 * KIB, slab_bytes=KIB)
    slot = pool.acquire(KIB)
    assert slot is not None
    pool.reserve(8 * KIB)
    assert [pool.acquire(KIB) for _ in range(3)] == [None] * 3
    assert len(asked) == 2
    assert len(caplog.records) == 1
    free(pool, slot)
    assert pool.acquire(KIB) is slot, "what is pinned is used on"
