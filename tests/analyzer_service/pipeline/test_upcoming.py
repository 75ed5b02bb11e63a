"""Batches found by their frames, before and after their release, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.commit.producers import ProducerState
from analyzer_service.commit.store import Store, StoredFrame
from analyzer_service.pipeline import Origin, upcoming
from analyzer_service.pipeline.upcoming import UpcomingBatches
from shared.codec import encode, join
from shared.messages import FrameRef
from tests.builders import make_batch, make_epoch_ended, make_run_started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def producer(store: Store) -> ProducerState:
    started = make_run_started()
    with store.transaction():
        number = store.add_producer(started)
    return ProducerState(number, Origin("rank0", 1), started)


def take(store: Store, state: ProducerState, numbers: dict[int, int]) -> None:
    """Records by cseq: batches by their step, which is their frame's number; 0 ends an epoch."""
    with store.transaction():
        for cseq, step in numbers.items():
            message = make_batch(step) if step else make_epoch_ended()
            store.add_record(state.id, cseq, join(encode(message)))
            state.committed.add(cseq)


def frame(number: int) -> StoredFrame:
    return StoredFrame("train", number, "analyzed", phase="train", phase_step=number)


def test_each_is_found_by_its_frame(store: Store) -> None:
    state, batches = producer(store), UpcomingBatches(store)
    take(store, state, {1: 1, 2: 0, 3: 2})
    assert batches.read(state)
    assert batches.of(state, frame(2)) == make_batch(2)
    assert batches.of(state, frame(3)) is None
    take(store, state, {4: 3})
    assert batches.read(state)
    assert batches.of(state, frame(3)) == make_batch(3)


def test_behind_a_gap_is_read_and_known_not_to_be_all(store: Store) -> None:
    state, batches = producer(store), UpcomingBatches(store)
    take(store, state, {1: 1, 3: 3})
    assert not batches.read(state)
    assert batches.of(state, frame(3)) == make_batch(3)
    assert batches.of(state, frame(2)) is None
    state.next_release = 3
    assert batches.read(state)
    assert batches.of(state, frame(3)) == make_batch(3)
    assert batches.of(state, frame(1)) is None


def test_what_fills_a_gap_is_read_however_much_is_held_behind_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upcoming, "MOST", 4)
    state, batches = producer(store), UpcomingBatches(store)
    take(store, state, {number: number for number in range(3, 11)})
    assert not batches.read(state)
    take(store, state, {1: 1, 2: 2})
    assert not batches.read(state)
    assert [n for n in range(1, 11) if batches.of(state, frame(n))] == [1, 2, 3, 4, 5, 6]


def test_what_is_held_is_bounded_and_the_next_are_among_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upcoming, "MOST", 4)
    state, batches = producer(store), UpcomingBatches(store)
    take(store, state, {number: number for number in range(1, 11)})
    assert not batches.read(state)
    assert [n for n in range(1, 11) if batches.of(state, frame(n))] == [1, 2, 3, 4]
    state.next_release = 8
    assert batches.read(state)
    assert [n for n in range(1, 11) if batches.of(state, frame(n))] == [8, 9, 10]


def test_another_stream_is_another_frame(store: Store) -> None:
    state, batches = producer(store), UpcomingBatches(store)
    with store.transaction():
        record = make_batch(1, frame=FrameRef(stream="val", fseq=1))
        store.add_record(state.id, 1, join(encode(record)))
    state.committed.add(1)
    batches.read(state)
    assert batches.of(state, frame(1)) is None
