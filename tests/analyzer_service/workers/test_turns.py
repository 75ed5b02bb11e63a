"""Parties take turns, and nothing is lost or out of order within one."""

import threading
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_service.workers.turns import TurnQueue, Turns


@given(st.lists(st.integers(0, 4)))
def test_each_round_takes_one_of_every_party_in_its_order(parties: list[int]) -> None:
    turns: Turns[tuple[int, int]] = Turns()
    counts: defaultdict[int, int] = defaultdict(int)
    for party in parties:
        turns.put((counts[party], party), party)
        counts[party] += 1
    foreseen = list(turns)
    taken = [turns.take() for _ in range(len(turns))]
    first_seen = list(dict.fromkeys(parties))
    # Brute force: by round, and within a round by who came first.
    assert taken == sorted(taken, key=lambda item: (item[0], first_seen.index(item[1])))
    assert taken == foreseen
    assert len(taken) == len(parties)
    with pytest.raises(IndexError):
        turns.take()


def test_a_party_that_comes_back_waits_behind_the_others() -> None:
    turns: Turns[str] = Turns()
    for item in ("a1", "a2", "b1"):
        turns.put(item, item[0])
    assert turns.take() == "a1"
    turns.put("c1", "c")
    assert [turns.take() for _ in range(3)] == ["b1", "a2", "c1"]


def test_a_queue_is_emptied_before_it_ends() -> None:
    queue: TurnQueue[int] = TurnQueue()
    taken: list[int] = []

    def serve() -> None:
        while (item := queue.get()) is not None:
            taken.append(item)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 101):
        queue.put(number, number % 7)
    queue.close()
    for thread in threads:
        thread.join(10)
    assert sorted(taken) == list(range(1, 101))
