"""What is sent next, and how much may be away at once."""

from typing import Any

from analyzer_service.cluster.outbox import (
    BYTES_A_SLOT,
    CHUNKS_A_SLOT,
    MOST_BYTES,
    Outbox,
    TravelingCall,
    budget_bytes,
)
from analyzer_service.pipeline.remote_calls import MEASURE
from analyzer_service.workers import Outcome, Ticket


def make_call(number: int, *, party: str = "a", nbytes: int = 1000) -> TravelingCall:
    def ignore(outcome: Outcome[Any]) -> None:
        pass

    packed = [number]
    return TravelingCall(
        Ticket(number), MEASURE, make_call, (), packed, 1.0, ignore, bytes(nbytes), party
    )


def test_an_idle_cluster_gets_what_there_is_and_a_busy_one_full_chunks() -> None:
    outbox = Outbox()
    assert outbox.next_chunk(1) is None
    calls = [make_call(number) for number in range(8)]
    outbox.put(calls[0])
    assert outbox.next_chunk(1) == calls[:1]
    outbox.sent(1, calls[:1])
    for call in calls[1:4]:
        outbox.put(call)
    assert outbox.next_chunk(1) is None, "three are no chunk of 100 ms, at a guess of 25 ms"
    outbox.put(calls[4])
    assert outbox.next_chunk(1) == calls[1:5]
    outbox.sent(2, calls[1:5])
    outbox.put(calls[5])
    assert outbox.chunks == CHUNKS_A_SLOT
    assert outbox.next_chunk(1) is None, "no more are away at once"
    assert outbox.back(1) == calls[:1]
    assert outbox.back(1) is None
    assert outbox.back(2) == calls[1:5]
    assert outbox.next_chunk(1) == calls[5:6]


def test_bytes_that_are_away_are_bounded() -> None:
    outbox, slots = Outbox(), 4
    away = 0
    for number in range(100):
        outbox.put(make_call(number, nbytes=5 << 20))
    while (chunk := outbox.next_chunk(slots)) is not None:
        away += 1
        outbox.sent(away, chunk)
    assert away == CHUNKS_A_SLOT * slots
    outbox = Outbox()
    for number in range(8):
        outbox.put(make_call(number, nbytes=40 << 20))
    away = 0
    while (chunk := outbox.next_chunk(slots)) is not None:
        away += 1
        outbox.sent(away, chunk)
    assert away == 2, "two of 40 MiB reach the 64 MiB of four slots"
    assert (budget_bytes(0), budget_bytes(1)) == (BYTES_A_SLOT, BYTES_A_SLOT)
    assert budget_bytes(1000) == MOST_BYTES


def test_cancelled_calls_are_not_sent_and_their_chunks_are_dropped() -> None:
    outbox = Outbox()
    calls = [make_call(number) for number in range(6)]
    for call in calls[:3]:
        outbox.put(call)
    for call in calls[:3]:
        call.outcome = Outcome("cancelled")
    outbox.put(calls[3])
    assert outbox.next_chunk(1) == calls[3:4]
    outbox.sent(7, calls[3:4])
    assert outbox.drop_ended() == []
    calls[3].outcome = Outcome("cancelled")
    assert outbox.drop_ended() == [7]
    assert outbox.chunks == 0


def test_parties_share_a_chunk_and_nothing_is_left_when_it_is_cleared() -> None:
    outbox = Outbox()
    flood = [make_call(number) for number in range(10)]
    other = make_call(11, party="b")
    for call in (*flood, other):
        outbox.put(call)
    first = outbox.next_chunk(1)
    assert first == [flood[0], other, flood[1], flood[2]]
    outbox.sent(1, first)
    assert outbox.clear() == [*first, *flood[3:]]
    assert outbox.next_chunk(1) is None
