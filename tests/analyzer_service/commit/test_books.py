"""The books of a stream, against counting each frame by hand."""

import random

import pytest

from analyzer_service.commit.books import UNDECODABLE, StreamBooks

FRAMES = 60


def _by_hand(events: list[tuple[str, int, int]], books: StreamBooks) -> dict[str, int]:
    offered = {first for kind, first, _ in events if kind == "offer"}
    arrived: set[int] = set()
    unreadable: set[int] = set()
    given_up: set[int] = set()
    for kind, first, last in events:
        if kind == "take" and first not in unreadable:
            arrived.add(first)
        elif kind == "spoiled" and first not in arrived:
            unreadable.add(first)
        elif kind == "drop":
            given_up |= set(range(first, last + 1))
    dropped = offered & (given_up | unreadable) - arrived
    return {
        "offered": len(offered),
        "delivered": len(offered & arrived),
        "dropped": len(dropped),
        "pending": len(offered - arrived - dropped),
    }


@pytest.mark.parametrize("seed", range(20))
def test_frames_that_no_batch_named_count_as_if_one_had(seed: int) -> None:
    generator = random.Random(seed)
    named, unnamed = StreamBooks(), StreamBooks()
    for _ in range(60):
        kind = generator.choice(["take", "spoiled", "drop", "offer"])
        first = generator.randint(1, FRAMES)
        for books in (named, unnamed):
            if kind == "offer":
                books.offer(first)
            elif kind == "drop":
                books.give_up(first, first + 3, "closed" if seed % 2 else "no_slot")
            else:
                books.take(first, readable=kind == "take")
    for fseq in range(1, FRAMES + 1):
        named.offer(fseq)
    awaited = unnamed.unnamed(FRAMES)
    before = unnamed.pending
    unnamed.offer_unnamed(FRAMES)
    assert unnamed.totals() == named.totals()
    assert +unnamed.reasons == +named.reasons
    assert unnamed.balanced
    assert sum(last - first + 1 for first, last in awaited) == unnamed.pending - before


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_counting_by_hand(seed: int) -> None:
    generator = random.Random(seed)
    books = StreamBooks()
    events: list[tuple[str, int, int]] = []
    for _ in range(150):
        kind = generator.choice(["offer", "offer", "take", "take", "drop", "spoiled"])
        first = generator.randint(1, FRAMES)
        last = first + generator.randint(0, 4)
        events.append((kind, first, last))
        if kind == "offer":
            books.offer(first)
        elif kind == "drop":
            books.give_up(first, last, generator.choice(["queue_full", "no_slot"]))
        else:
            books.take(first, readable=kind == "take")
        assert books.balanced
        assert books.totals().model_dump() == _by_hand(events, books)
        assert sum(books.reasons.values()) == books.dropped


def test_a_hostile_range_costs_nothing() -> None:
    books = StreamBooks()
    books.offer(5)
    books.give_up(0, 2**63 - 1, "closed")
    assert books.totals().model_dump() == {
        "offered": 1,
        "delivered": 0,
        "dropped": 1,
        "pending": 0,
    }


def test_an_undecodable_frame_need_not_be_sent_again() -> None:
    books = StreamBooks()
    books.take(1, readable=False)
    books.offer(1)
    assert (books.delivered, books.dropped, 1 in books.arrived) == (0, 1, True)
    assert books.reasons == {UNDECODABLE: 1}


def test_what_is_settled_is_forgotten() -> None:
    books = StreamBooks()
    for fseq in range(1, 2001):
        books.offer(fseq)
        if fseq % 2:
            books.give_up(fseq, fseq, "queue_full")
        else:
            books.take(fseq)
        books.settle(fseq)
    assert books.totals().model_dump() == {
        "offered": 2000,
        "delivered": 1000,
        "dropped": 1000,
        "pending": 0,
    }
    assert books.known.ranges == books.arrived.ranges == [(1, 2000)]
    assert sum(len(numbers.ranges) for numbers in books.given_up.values()) <= 65
