import itertools
from collections.abc import Sequence

import pytest

from shared.codec import Buffer
from shared.messages import Books, RecordTotals
from shared.protocol import Control, Heartbeat, Hello, Reject, Welcome, unpack
from trainer.publish.link import Link, Reached

HELLO = Hello(run_id="r", run_name="run", producer="p", instance="i", incarnation=1, next_cseq=1)


class ScriptedSockets:
    """Accepts sends while `connected`; remembers what was sent."""

    def __init__(self, *, connected: bool = True) -> None:
        self.connected = connected
        self.opened = 0
        self.shut_count = 0
        self.sent: list[tuple[str, Control]] = []

    def reopen(self) -> None:
        self.opened += 1

    def shut(self) -> None:
        self.shut_count += 1

    def send(self, channel: str, parts: Sequence[Buffer]) -> bool:
        if self.connected:
            self.sent.append((channel, unpack(parts[0])))
        return self.connected

    def kinds(self) -> list[str]:
        return [control.kind for _, control in self.sent]


def welcome() -> Welcome:
    return Welcome(committed_cseq=0, token="t")


def test_greets_as_soon_as_it_is_connected_and_says_how_far_it_is() -> None:
    sockets = ScriptedSockets(connected=False)
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    assert (link.state, sockets.opened, sockets.sent) == ("greeting", 1, [])
    sockets.connected = True
    link.tick(0.1, Reached(8))
    channel, hello = sockets.sent[0]
    assert channel == "ctl"
    assert isinstance(hello, Hello)
    assert hello.next_cseq == 8


def test_a_welcome_opens_it_and_binds_bulk() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.welcomed(welcome(), 0.2)
    assert link.state == "open"
    assert link.may_send_frames
    assert sockets.kinds() == ["hello", "attach"]


def tick_until(link: Link, last_s: float) -> None:
    for tenths in range(int(10 * last_s) + 1):
        link.tick(tenths / 10, Reached(1))


def test_silence_from_the_start_is_said_once_training_goes_on(caplog) -> None:
    link = Link(ScriptedSockets(connected=False), HELLO, unanswered="nobody answers at x")
    tick_until(link, 4.9)
    assert not caplog.records
    tick_until(link, 60.0)
    assert [record.getMessage() for record in caplog.records] == ["nobody answers at x"]


def test_an_analyzer_that_has_answered_is_never_said_to_be_nobody(caplog) -> None:
    link = Link(ScriptedSockets(), HELLO, unanswered="nobody answers at x")
    link.tick(0.0, Reached(1))
    link.welcomed(welcome(), 0.1)
    tick_until(link, 60.0)
    assert "nobody answers at x" not in [record.getMessage() for record in caplog.records]


def test_an_answer_that_cannot_be_read_is_said_once_and_is_no_silence(caplog) -> None:
    link = Link(ScriptedSockets(), HELLO, unanswered="nobody answers at x")
    for _ in range(3):
        link.not_understood("control header: kind", 0.0)
    tick_until(link, 60.0)
    [record] = caplog.records
    assert "install the same Sidelight on both sides (control header: kind)" in record.getMessage()
    assert link.state in ("away", "greeting")


def test_who_only_talks_nonsense_is_left_alone_for_longer_and_longer() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    opened_at_s = []
    for tenths in range(300):
        link.tick(tenths / 10, Reached(1))
        if link.state == "greeting":
            opened_at_s.append(tenths / 10)
            for _ in range(100):
                link.not_understood("noise", tenths / 10)
    assert sockets.shut_count == len(opened_at_s)
    pauses_s = [after - before for before, after in itertools.pairwise(opened_at_s)]
    assert pauses_s[:6] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0], abs=0.11)
    assert pauses_s[6:] == pytest.approx([5.0] * len(pauses_s[6:]), abs=0.11)


def test_resets_make_no_storm_of_greetings() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    for tenths in range(30):
        link.tick(tenths / 10, Reached(1))
        link.reset(tenths / 10)
    assert sockets.kinds() == ["hello"] * 3


def test_heartbeats_carry_the_books_of_their_moment() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    numbers = iter(range(1, 100))

    def books() -> Books:
        return Books(records=RecordTotals(offered=next(numbers)))

    link.tick(0.0, Reached(1), books)
    link.welcomed(welcome(), 0.0)
    for tenths in range(31):
        link.heard(tenths / 10)
        link.tick(tenths / 10, Reached(1), books)
    beats = [control for _, control in sockets.sent if isinstance(control, Heartbeat)]
    assert [beat.books and beat.books.records.offered for beat in beats] == [1, 2, 3, 4]


def test_time_in_which_the_producer_stood_still_is_nobodys_silence() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.welcomed(welcome(), 0.0)
    link.tick(60.0, Reached(1))  # a suspended machine: nothing was read meanwhile
    assert link.state == "open"
    link.tick(61.0, Reached(1))
    link.tick(62.9, Reached(1))
    link.tick(64.8, Reached(1))
    link.tick(65.1, Reached(1))
    assert link.state == "away"


def test_a_socket_that_fails_is_opened_again_a_little_later() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.broken(0.1)
    assert link.state == "away"
    tick_until(link, 0.5)
    assert (link.state, sockets.opened) == ("greeting", 2)


def test_silence_of_five_seconds_means_away_and_new_sockets() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.welcomed(welcome(), 0.0)
    link.heard(3.0)
    tick_until(link, 7.9)
    assert link.state == "open"
    link.tick(8.1, Reached(1))
    assert link.state == "away"
    link.tick(8.5, Reached(1))
    assert (link.state, sockets.opened) == ("greeting", 2)


def test_backs_off_up_to_five_seconds_while_nobody_is_there() -> None:
    sockets = ScriptedSockets(connected=False)
    link = Link(sockets, HELLO)
    reopened_at = []
    now_s = 0.0
    while now_s < 120:
        before = sockets.opened
        link.tick(now_s, Reached(1))
        if sockets.opened > before:
            reopened_at.append(now_s)
        now_s += 0.05
    pauses = [later - earlier for earlier, later in itertools.pairwise(reopened_at)]
    # Each try waits 5 s for a connection; the pause before the next doubles from 0.2 to 5 s.
    assert pauses[0] < 5.4
    assert 9.9 < pauses[-1] < 10.3
    assert all(b > a - 0.01 for a, b in itertools.pairwise(pauses))


def test_a_restarted_analyzer_is_greeted_again_on_the_same_sockets() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.welcomed(welcome(), 0.0)
    link.reset(1.0)
    link.tick(1.0, Reached(5))
    assert sockets.opened == 1
    assert sockets.kinds()[-1] == "hello"
    assert not link.may_send_frames


def test_a_refusal_is_final() -> None:
    sockets = ScriptedSockets()
    link = Link(sockets, HELLO)
    link.tick(0.0, Reached(1))
    link.rejected(Reject(reason="another trainer has this name"), 0.1)
    link.tick(100.0, Reached(1))
    assert (link.state, link.refusal) == ("refused", "another trainer has this name")
    assert sockets.opened == 1
