from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.messages import Stream
from shared.sequences import RangeSet
from trainer.publish.frames import FRAME_OVERHEAD_BYTES, FrameWindow, PendingFrame

FRAME_BYTES = 10 + FRAME_OVERHEAD_BYTES  # what one of `pending` takes


def pending(stream: Stream, fseq: int, nbytes: int = 10) -> PendingFrame:
    return PendingFrame(stream, fseq, [b"x" * nbytes], captured_at_ns=0, nbytes=nbytes)


def send_all(frames: FrameWindow) -> list[tuple[Stream, int]]:
    sent = []
    while (frame := frames.next_frame()) is not None:
        frames.sent(frame)
        sent.append((frame.stream, frame.fseq))
    return sent


def offered(count: int, *, room: int = 100) -> FrameWindow:
    """A window with room for so many frames, of which `count` are offered."""
    frames = FrameWindow(room * FRAME_BYTES)
    for fseq in range(1, count + 1):
        frames.offer("train")
        frames.encoded(pending("train", fseq))
    return frames


def test_credit_bounds_what_is_in_flight() -> None:
    frames = offered(5)
    frames.reconnected(credit_bytes=25)
    assert send_all(frames) == [("train", 1), ("train", 2)]
    frames.credit(10)
    assert send_all(frames) == [("train", 3)]


def test_a_frame_larger_than_the_credit_goes_alone() -> None:
    frames = FrameWindow(FRAME_OVERHEAD_BYTES + 1000)
    frames.offer("train")
    frames.encoded(pending("train", 1, nbytes=500))
    frames.reconnected(credit_bytes=100)
    assert send_all(frames) == [("train", 1)]


def test_validation_goes_before_training() -> None:
    frames = offered(2)
    frames.offer("val")
    frames.encoded(pending("val", 1))
    frames.reconnected(credit_bytes=1000)
    assert send_all(frames)[0] == ("val", 1)


def test_over_the_budget_the_oldest_of_the_stream_is_dropped_and_counted() -> None:
    frames = offered(4, room=2)
    drops = frames.take_drops()
    assert [(drop.fseq, drop.reason) for drop in drops] == [(1, "queue_full"), (2, "queue_full")]
    assert frames.totals()["train"].model_dump() == {
        "offered": 4,
        "delivered": 0,
        "dropped": 2,
        "pending": 2,
    }
    assert frames.drops() == {"train": {"queue_full": 2}, "val": {}}


def test_what_is_in_flight_counts_and_leaves_half_of_the_budget_whatever_the_credit() -> None:
    frames = offered(6, room=6)
    frames.reconnected(credit_bytes=1 << 60)
    assert len(send_all(frames)) == 3
    for fseq in range(7, 17):
        frames.offer("train")
        frames.encoded(pending("train", fseq))
    assert frames.held_bytes == 6 * FRAME_BYTES
    assert [drop.fseq for drop in frames.take_drops()] == list(range(4, 14))
    frames.reconnected(credit_bytes=0)  # what was in flight waits again
    assert frames.held_bytes == 6 * FRAME_BYTES
    assert send_all(frames) == [("train", 1)]


def test_a_frame_that_is_larger_than_the_budget_costs_no_other_frame(caplog) -> None:
    frames = offered(3, room=3)
    for fseq in (4, 5):
        frames.offer("train")
        frames.encoded(pending("train", fseq, nbytes=3 * FRAME_BYTES))
    assert [(drop.fseq, drop.reason) for drop in frames.take_drops()] == [
        (4, "too_large"),
        (5, "too_large"),
    ]
    assert frames.totals()["train"].pending == 3
    [said] = [record.getMessage() for record in caplog.records]
    assert "larger than the queue" in said


def test_a_full_queue_of_one_stream_does_not_shut_the_other_out() -> None:
    frames = offered(4, room=4)
    for fseq in (1, 2, 3):
        frames.offer("val")
        frames.encoded(pending("val", fseq))
    drops = [(drop.stream, drop.fseq) for drop in frames.take_drops()]
    assert drops == [("train", 1), ("train", 2), ("val", 1)]
    assert [frames.totals()[stream].pending for stream in ("train", "val")] == [2, 2]


def test_after_a_reconnection_unconfirmed_frames_go_again_in_order() -> None:
    frames = offered(3)
    frames.reconnected(credit_bytes=1000)
    send_all(frames)
    frames.delivered("train", [2])
    frames.reconnected(credit_bytes=1000)
    assert send_all(frames) == [("train", 1), ("train", 3)]


def test_a_frame_confirmed_twice_counts_once() -> None:
    frames = offered(1)
    frames.reconnected(credit_bytes=1000)
    send_all(frames)
    frames.delivered("train", [1, 1])
    frames.delivered("train", [1])
    assert frames.totals()["train"].delivered == 1


def test_what_the_analyzer_has_is_not_sent_again_even_if_it_waits_again() -> None:
    frames = offered(3)
    frames.reconnected(credit_bytes=1000)
    send_all(frames)
    frames.reconnected(credit_bytes=1000)
    frames.confirm("train", RangeSet([(1, 2)]))
    assert send_all(frames) == [("train", 3)]
    assert frames.totals()["train"].delivered == 2


def test_a_frame_confirmed_after_it_was_dropped_stays_dropped() -> None:
    frames = offered(1)
    frames.reconnected(credit_bytes=1000)
    send_all(frames)
    frames.drop_in_flight("peer_lost")
    frames.delivered("train", [1])
    book = frames.totals()["train"]
    assert (book.delivered, book.dropped, book.pending) == (0, 1, 0)
    assert frames.idle


@given(
    st.lists(
        st.sampled_from(
            [*("offer", "unreadable", "send", "confirm"), *("reconnect", "close", "give_up")]
        ),
        max_size=80,
    )
)
def test_the_books_balance_after_any_history(events: list[str]) -> None:
    budget_bytes = 5 * FRAME_BYTES
    frames = FrameWindow(budget_bytes)
    fseq = 0
    dropped = 0
    for event in events:
        if event in ("offer", "unreadable"):
            fseq += 1
            frames.offer("train")
            if event == "offer":
                frames.encoded(pending("train", fseq))
            else:
                frames.unreadable("train", fseq, "changed_in_place")
        elif event == "send" and (frame := frames.next_frame()) is not None:
            frames.sent(frame)
        elif event == "confirm":
            frames.delivered("train", frames.in_flight("train")[:1])
        elif event == "reconnect":
            frames.reconnected(credit_bytes=35)
        elif event == "close":
            frames.drop_waiting("closed")
        elif event == "give_up":
            frames.drop_in_flight("peer_lost")
        assert 0 <= frames.held_bytes <= budget_bytes
        assert frames.held_bytes == FRAME_BYTES * len(list(frames.unconfirmed()))
        dropped += len(frames.take_drops())
        book = frames.totals()["train"]
        assert book.offered == fseq
        assert book.dropped == dropped
        assert book.offered == book.delivered + book.dropped + book.pending
        assert sum(frames.drops()["train"].values()) == dropped


class Watched(PendingFrame):
    """Counts how often one asks whether it is in a file."""

    asked = 0

    def __getattribute__(self, name: str) -> Any:
        Watched.asked += name == "journaled"
        return super().__getattribute__(name)


def test_frames_that_stand_in_a_file_are_not_gone_through_again() -> None:
    frames = offered(0, room=2000)
    for fseq in range(1, 1001):
        frames.offer("train")
        frames.encoded(Watched("train", fseq, [b""], 0, 10, journaled=fseq < 999))
    Watched.asked = 0
    assert [frame.fseq for frame in frames.unjournaled()] == [999, 1000]
    assert Watched.asked == 3


EVENTS = ["train", "val", "send", "confirm", "lost", "write", "drop"]


@given(st.lists(st.sampled_from(EVENTS), max_size=80), st.integers(1, 4))
def test_what_stands_in_no_file_is_found_after_any_history(events: list[str], most: int) -> None:
    frames = FrameWindow(12 * FRAME_BYTES)
    numbers: dict[Stream, int] = {"train": 0, "val": 0}
    for event in events:
        if event in ("train", "val"):
            stream: Stream = "train" if event == "train" else "val"
            numbers[stream] += 1
            frames.offer(stream)
            frames.encoded(pending(stream, numbers[stream]))
        elif event == "send" and (frame := frames.next_frame()) is not None:
            frames.sent(frame)
        elif event == "confirm":
            for each in ("train", "val"):
                frames.delivered(each, frames.in_flight(each)[:1])  # type: ignore[arg-type]
        elif event == "lost":
            frames.reconnected(credit_bytes=35)
        elif event == "write":
            for frame in frames.unjournaled()[:most]:
                frame.journaled = True
        elif event == "drop":
            frames.drop_in_flight("peer_lost")
        missing = {(f.stream, f.fseq) for f in frames.unconfirmed() if not f.journaled}
        found = [(f.stream, f.fseq) for f in frames.unjournaled()]
        assert set(found) == missing
        assert found == sorted(found), "each stream's oldest first"
