from hypothesis import given
from hypothesis import strategies as st

from trainer.publish.records import OVERHEAD_BYTES, UnackedWindow


def filled(count: int, *, budget_bytes: int = 100_000) -> UnackedWindow:
    window = UnackedWindow(budget_bytes)
    for number in range(count):
        window.append([b"x" * 10], captured_at_ns=number, now_s=float(number))
    return window


def test_numbers_are_dense_from_one() -> None:
    assert [record.cseq for record in filled(4).to_send()] == [1, 2, 3, 4]


def test_what_was_sent_is_not_sent_again_until_a_reconnection() -> None:
    window = filled(4)
    window.sent(1)
    window.sent(2)
    assert [record.cseq for record in window.to_send()] == [3, 4]
    window.resend_from(1)
    assert [record.cseq for record in window.to_send()] == [1, 2, 3, 4]


def test_acknowledged_records_leave_memory() -> None:
    window = filled(4)
    window.ack(3)
    assert (window.first_in_memory, window.nbytes, window.all_acked) == (
        4,
        10 + OVERHEAD_BYTES,
        False,
    )
    window.ack(4)
    assert window.all_acked


def test_an_acknowledgment_beyond_what_was_sent_counts_only_what_exists() -> None:
    window = filled(2)
    window.ack(99)
    assert window.acked_cseq == 2


def test_an_old_acknowledgment_changes_nothing() -> None:
    window = filled(3)
    window.ack(3)
    window.ack(1)
    assert window.acked_cseq == 3


def test_at_the_end_records_that_stand_nowhere_else_are_let_go_and_counted() -> None:
    window = filled(6)
    window.ack(2)
    window.written(4)
    window.flushed()
    window.written(5)  # in a chunk that no disk took
    assert window.forget_unkept() == 2
    assert (window.pending, window.nbytes) == (2, 2 * (OVERHEAD_BYTES + 10))
    assert not window.all_acked
    assert filled(3).forget_unkept() == 3


def test_only_flushed_records_leave_memory_over_the_budget() -> None:
    window = filled(5, budget_bytes=4 * (OVERHEAD_BYTES + 10))
    window.written(4)
    window.evict()
    assert (window.full, window.first_in_memory) == (True, 1)
    window.flushed()
    window.evict()
    assert not window.full
    assert window.first_in_memory == 3  # a quarter of the budget is free again
    assert window.next_to_send == 1
    assert [record.cseq for record in window.to_send()] == [3, 4, 5]


def test_what_was_written_is_not_written_again() -> None:
    window = filled(5)
    window.written(2)
    assert [record.cseq for record in window.unjournaled(older_than_s=10.0)] == [3, 4, 5]
    window.ack(4)
    assert [record.cseq for record in window.unjournaled(older_than_s=10.0)] == [5]


def test_young_records_are_not_for_the_journal_yet() -> None:
    window = filled(5)
    assert [record.cseq for record in window.unjournaled(older_than_s=1.5)] == [1, 2]


@given(
    st.lists(
        st.sampled_from(["append", "ack", "leap", "send", "write", "flush", "evict"]), max_size=60
    )
)
def test_after_any_history_every_unacknowledged_record_is_in_memory_or_flushed(
    events: list[str],
) -> None:
    window = UnackedWindow(3 * (OVERHEAD_BYTES + 10))
    for event in events:
        if event == "append":
            window.append([b"x" * 10], captured_at_ns=0, now_s=0.0)
        elif event == "ack":
            window.ack(window.acked_cseq + 1)
        elif event == "leap":
            window.ack(window.acked_cseq + 3)
        elif event == "send":
            for record in list(window.to_send())[:1]:
                window.sent(record.cseq)
        elif event == "write":
            for record in list(window.unjournaled(older_than_s=1.0))[:2]:
                window.written(record.cseq)
        elif event == "flush":
            window.flushed()
        else:
            window.evict()
        window.resend_from(window.acked_cseq + 1)
        held = [record.cseq for record in window.to_send()]
        assert held == list(range(window.first_in_memory, window.next_cseq))
        assert window.first_in_memory - 1 <= max(window.flushed_cseq, window.acked_cseq)
        assert window.nbytes == len(held) * (OVERHEAD_BYTES + 10)
        assert window.pending == window.next_cseq - 1 - window.acked_cseq
