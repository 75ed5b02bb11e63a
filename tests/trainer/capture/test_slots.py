"""Slot bookkeeping, with events that a test fires by hand; copies are tested in tests/cuda."""

from typing import Any

import torch

from trainer.capture.slots import Slot, SlotPool


class ManualEvent:
    def __init__(self) -> None:
        self.done = False

    def query(self) -> bool:
        return self.done


def make_pool(**limits: Any) -> SlotPool:
    def allocate(nbytes: int) -> torch.Tensor:
        return torch.zeros(nbytes, dtype=torch.uint8)

    return SlotPool(allocate, **{"count": 2, "total_bytes": 1000, **limits})


def use(slot: Slot | None) -> tuple[Slot, ManualEvent]:
    assert slot is not None
    event = ManualEvent()
    slot.event, slot.sources = event, ["device memory"]
    return slot, event


def test_no_more_slots_than_allowed() -> None:
    pool = make_pool()
    assert pool.acquire(100) is not None
    assert pool.acquire(100) is not None
    assert pool.acquire(100) is None


def test_a_slot_is_used_again_only_after_its_copy_is_done() -> None:
    pool = make_pool(count=1)
    slot, event = use(pool.acquire(100))
    pool.release(slot)  # dropped while the copy is still under way
    assert pool.acquire(100) is None
    assert slot.sources == ["device memory"]  # what is being read stays alive
    event.done = True
    assert pool.acquire(100) is slot
    assert slot.sources is None


def test_a_slow_copy_does_not_hold_back_the_others() -> None:
    pool = make_pool()
    (slow, _), (fast, event) = use(pool.acquire(100)), use(pool.acquire(100))
    pool.release(slow)
    pool.release(fast)
    event.done = True
    assert pool.acquire(100) is fast
    assert pool.acquire(100) is None


def test_bytes_are_bounded() -> None:
    pool = make_pool(count=5, total_bytes=250)
    slots = [pool.acquire(100) for _ in range(3)]
    assert [slot is not None for slot in slots] == [True, True, False]
    assert pool.allocated_bytes == 200


def test_a_slot_grows_within_the_bound() -> None:
    pool = make_pool(count=1, total_bytes=250)
    slot, event = use(pool.acquire(100))
    pool.release(slot)
    event.done = True
    larger = pool.acquire(200)
    assert larger is slot
    assert larger.buffer.nbytes == pool.allocated_bytes == 200
    pool.release(larger)
    assert pool.acquire(300) is None
    assert pool.acquire(150) is slot
