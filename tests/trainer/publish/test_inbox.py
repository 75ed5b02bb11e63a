import random
from collections.abc import Iterator
from typing import Any

import pytest

from shared.messages import EpochEnded
from trainer.publish.contract import BatchKeys
from trainer.publish.inbox import ITEM_BYTES, LEAST_ITEMS, Handed, Inbox

FRAME_BYTES = 10 + ITEM_BYTES  # what a batch with a frame takes by default


class SizedCapture:
    """Only its size and whether it was let go matter here."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.let_go = False

    def drop_frame(self) -> None:
        self.let_go = True


def keys(step: int, phase: str = "train") -> BatchKeys:
    return BatchKeys(phase, 0, step, step, step)  # type: ignore[arg-type]


def put(inbox: Inbox, count: int, nbytes: int = 10) -> list[SizedCapture]:
    captures = [SizedCapture(nbytes) for _ in range(count)]
    for step, capture in enumerate(captures):
        inbox.put_batch(keys(step), capture, captured_at_ns=step)  # type: ignore[arg-type]
    return captures


def taken(inbox: Inbox) -> list[Handed | EpochEnded]:
    items = []
    while (item := inbox.take()) is not None:
        items.append(item)
    return items


def test_frames_are_numbered_by_stream() -> None:
    inbox = Inbox(100_000)
    for phase in ("train", "val", "train"):
        inbox.put_batch(keys(1, phase), SizedCapture(10), 0)  # type: ignore[arg-type]
    assert [item.fseq for item in taken(inbox) if isinstance(item, Handed)] == [1, 1, 2]


def test_a_batch_without_a_frame_takes_no_number() -> None:
    inbox = Inbox(100_000)
    put(inbox, 1, nbytes=0)
    put(inbox, 1)
    assert [item.fseq for item in taken(inbox) if isinstance(item, Handed)] == [None, 1]


def test_over_the_budget_the_oldest_frames_are_let_go_and_every_batch_stays() -> None:
    inbox = Inbox(2 * FRAME_BYTES)
    captures = put(inbox, 5)
    assert [capture.let_go for capture in captures] == [True, True, True, False, False]
    numbers = [item.fseq for item in taken(inbox) if isinstance(item, Handed)]
    assert numbers == [1, 2, 3, 4, 5]  # all of them were offered


def test_what_the_sender_has_read_frees_the_budget() -> None:
    inbox = Inbox(2 * FRAME_BYTES)
    put(inbox, 2)
    for item in taken(inbox):
        assert isinstance(item, Handed)
        inbox.done(item)
    assert not any(capture.let_go for capture in put(inbox, 2))


def test_a_frame_larger_than_the_budget_is_let_go_at_once_and_can_be_told() -> None:
    inbox = Inbox(2 * FRAME_BYTES)
    [capture] = put(inbox, 1, nbytes=2 * FRAME_BYTES)
    [item] = taken(inbox)
    assert isinstance(item, Handed)
    assert capture.let_go
    assert not inbox.holds(item)


def test_batches_are_bounded_and_those_that_are_not_taken_get_no_number() -> None:
    inbox = Inbox(10 * FRAME_BYTES, batches_bytes=2 * LEAST_ITEMS * ITEM_BYTES)
    capture = SizedCapture(0)
    taken_over = [inbox.put_batch(keys(step), capture, 0) for step in range(3 * LEAST_ITEMS)]  # type: ignore[arg-type]
    assert taken_over.count(True) == 2 * LEAST_ITEMS
    assert not inbox.put_event(EpochEnded(epoch=0, global_step=1, captured_at_ns=0))
    inbox.take()
    put(inbox, 1)
    assert [item.fseq for item in taken(inbox) if isinstance(item, Handed)][-1] == 1


def test_what_was_let_go_is_read_later_and_counted_once() -> None:
    """The taking thread goes through all batches in order, also through those let go."""
    inbox = Inbox(2 * FRAME_BYTES)
    captures = put(inbox, 4)
    items = [item for item in taken(inbox) if isinstance(item, Handed)]
    for item in items[:3]:  # two were let go, one was held
        inbox.done(item)
    captures += put(inbox, 1)
    assert [capture.let_go for capture in captures] == [True, True, False, False, False]
    captures += put(inbox, 1)
    assert [capture.let_go for capture in captures] == [True, True, False, True, False, False]


class Counted(dict[int, Any]):
    """Counts what is taken out, and may not be gone through."""

    pops = 0

    def pop(self, *args: Any) -> Any:
        self.pops += 1
        return super().pop(*args)

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("the training thread has no time for this")


def test_letting_go_takes_no_longer_the_more_frames_are_held() -> None:
    inbox = Inbox(1000 * FRAME_BYTES, batches_bytes=1 << 30)
    inbox._holding = held = Counted()
    put(inbox, 2000)
    assert held.pops == 1000
    for item in taken(inbox)[:1500]:
        assert isinstance(item, Handed)
        inbox.done(item)
    held.pops = 0
    put(inbox, 501)
    assert held.pops == 1, "what the sender has read is not looked at again"


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_in_between_the_oldest_are_let_go(seed: int) -> None:
    generator = random.Random(seed)
    inbox = Inbox(20 * FRAME_BYTES)
    captures: list[SizedCapture] = []
    held: list[SizedCapture] = []
    waiting: list[Handed] = []
    gone: set[int] = set()
    for _ in range(3000):
        if generator.random() < 0.55:
            captures += put(inbox, 1, nbytes=generator.choice([0, 10, 10_000, 90_000]))
            held += [captures[-1]] if captures[-1].nbytes else []
            while sum(each.nbytes + ITEM_BYTES for each in held) > 20 * FRAME_BYTES:
                gone.add(id(held.pop(0)))
        else:
            waiting += [item for item in taken(inbox) if isinstance(item, Handed)]
            for item in waiting[: (count := generator.randint(0, 3))]:
                inbox.done(item)
                held = [each for each in held if each is not item.capture]
            del waiting[:count]
    assert {id(each) for each in captures if each.let_go} == gone
    assert len(gone) > 100
