from trainer.publish.records import UnackedWindow


def filled(count: int, *, budget_bytes: int = 1000) -> UnackedWindow:
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
    assert (window.first_in_memory, window.nbytes, window.all_acked) == (4, 10, False)
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


def test_only_journaled_records_leave_memory_over_the_budget() -> None:
    window = filled(5, budget_bytes=25)
    window.evict()
    assert window.first_in_memory == 1
    assert window.full
    for record in window.unjournaled(older_than_s=10.0):
        record.journaled = True
    window.evict()
    assert window.first_in_memory == 4
    assert not window.full
    assert window.next_to_send == 1


def test_young_records_are_not_for_the_journal_yet() -> None:
    window = filled(5)
    assert [record.cseq for record in window.unjournaled(older_than_s=1.5)] == [1, 2]
