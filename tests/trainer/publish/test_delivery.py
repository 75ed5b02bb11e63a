"""Delivery over scripted sockets, with the time given: nothing here waits."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from shared.codec import Buffer, encode
from shared.protocol import (
    Ack,
    Control,
    Credit,
    Fin,
    FinAck,
    Frame,
    Heartbeat,
    Hello,
    Record,
    Reset,
    Welcome,
    pack,
    unpack,
)
from tests.builders import make_batch, make_frame, make_run_started
from trainer.publish.delivery import Delivery
from trainer.publish.frames import FrameWindow, PendingFrame
from trainer.publish.journal import Journal
from trainer.publish.link import Link
from trainer.publish.records import UnackedWindow

C = TypeVar("C", bound=Control)


class ScriptedSockets:
    """Takes every send, and gives what the test put into `answers`."""

    def __init__(self) -> None:
        self.sent: list[Control] = []
        self.answers: list[Control] = []
        self.renewed: list[str] = []

    def reopen(self) -> None:
        """Nothing to connect."""

    def shut(self) -> None:
        """Nothing to close."""

    def renew(self, channel: str) -> None:
        self.renewed.append(channel)

    def send(self, channel: str, parts: Sequence[Buffer]) -> bool:
        self.sent.append(unpack(parts[0]))
        return True

    def receive(self, timeout_ms: int) -> list[bytes]:
        answers, self.answers = self.answers, []
        return [pack(answer) for answer in answers]

    def of(self, kind: type[C]) -> list[C]:
        return [control for control in self.sent if isinstance(control, kind)]


class Producer:
    """A delivery with one record and one frame, greeted at second 0."""

    def __init__(self, folder: Path) -> None:
        started = make_run_started()
        self.sockets = ScriptedSockets()
        self.window = UnackedWindow(1 << 20)
        self.frames = FrameWindow(1 << 20)
        hello = Hello(
            run_id="r", run_name="n", producer="p", instance="i", incarnation=1, next_cseq=1
        )
        self.link = Link(self.sockets, hello)
        self.delivery = Delivery(
            self.sockets,  # type: ignore[arg-type]
            self.link,
            self.window,
            self.frames,
            Journal(started, folder / "j.mcap", everything=False, limit_bytes=None),
        )
        self.window.append(encode(started), 0, 0.0)
        self.frames.offer("train")
        self.frames.encoded(PendingFrame("train", 1, encode(make_frame(1)), 0, 100))
        self.delivery.send(0.0)
        self.answer(0.0, Welcome(committed_cseq=0, token="t"))
        self.delivery.send(0.0)
        self.answer(0.0, Ack(cseq=1))
        self.delivery.send(0.0)

    def answer(self, now_s: float, *controls: Control) -> None:
        self.sockets.answers += controls
        self.delivery.receive(0.0, now_s)


@pytest.fixture
def producer(tmp_path: Path) -> Producer:
    return Producer(tmp_path)


def live(producer: Producer, upto_s: float, *, frames_waiting: int) -> None:
    """Heartbeats of a living analyzer, one a second."""
    for now_s in range(1, int(upto_s) + 1):
        producer.answer(float(now_s), Heartbeat(frames_waiting=frames_waiting))
        producer.delivery.send(float(now_s))


def test_frames_that_a_broken_connection_swallowed_are_sent_again(producer: Producer) -> None:
    assert len(producer.sockets.of(Frame)) == 1
    live(producer, 5, frames_waiting=0)
    assert len(producer.sockets.of(Hello)) == 1
    live(producer, 6, frames_waiting=0)
    assert len(producer.sockets.of(Hello)) == 2
    assert producer.sockets.renewed == []
    producer.answer(6.1, Welcome(committed_cseq=1, token="t"))
    assert producer.sockets.renewed == ["bulk"], "the old connection may hold the same frames"
    producer.delivery.send(6.1)
    assert len(producer.sockets.of(Frame)) == 2
    producer.answer(6.2, Credit(credit_bytes=100, delivered={"train": [(1, 1)]}))
    assert producer.frames.idle
    assert producer.frames.totals()["train"].delivered == 1
    assert producer.sockets.renewed == ["bulk"], "the old one may hold the same frames"


def test_frames_that_are_sent_meanwhile_hide_no_loss(producer: Producer) -> None:
    for now_s in range(1, 7):
        fseq = now_s + 1
        producer.frames.offer("train")
        producer.frames.encoded(PendingFrame("train", fseq, encode(make_frame(fseq)), 0, 100))
        producer.delivery.send(float(now_s))
        producer.answer(float(now_s), Heartbeat(frames_waiting=0))
    producer.delivery.send(6.1)
    assert len(producer.sockets.of(Hello)) == 2


def test_confirmed_frames_are_no_sign_that_records_arrive(producer: Producer) -> None:
    for now_s in range(1, 7):
        producer.answer(float(now_s), Credit(credit_bytes=1))
        producer.delivery.send(float(now_s))
    assert producer.link.state == "away"


def test_a_slow_link_gets_twice_the_time_with_each_try(producer: Producer) -> None:
    greeted_at_s: list[int] = []
    for now_s in range(1, 40):
        producer.answer(float(now_s), Heartbeat(frames_waiting=0))
        producer.delivery.send(float(now_s))
        if len(producer.sockets.of(Hello)) > 1 + len(greeted_at_s):
            greeted_at_s.append(now_s)
            producer.answer(float(now_s), Welcome(committed_cseq=1, token="t"))
            producer.delivery.send(float(now_s))
    assert greeted_at_s == [6, 17, 38]


def test_an_analyzer_that_is_still_at_work_is_left_alone(producer: Producer) -> None:
    live(producer, 60, frames_waiting=1)
    assert len(producer.sockets.of(Hello)) == 1
    assert len(producer.sockets.of(Frame)) == 1


def test_the_answer_to_a_second_hello_sends_nothing_twice(producer: Producer) -> None:
    producer.window.append([b"x"], 0, 0.0)
    producer.delivery.send(0.1)
    for now_s in (0.1, 0.2):
        producer.answer(now_s, Welcome(committed_cseq=1, token="t"))
        producer.delivery.send(now_s)
    assert len(producer.sockets.of(Frame)) == 1
    assert [record.cseq for record in producer.sockets.of(Record)] == [1, 2]
    assert producer.sockets.renewed == []


def test_large_records_wait_for_acknowledgments_not_in_the_socket(producer: Producer) -> None:
    for _ in range(10):
        producer.window.append([b"x" * (1 << 20)], 0, 0.0)
    producer.delivery.send(0.5)
    assert [record.cseq for record in producer.sockets.of(Record)] == [1, 2, 3, 4, 5]
    producer.delivery.send(0.6)
    assert len(producer.sockets.of(Record)) == 5
    producer.answer(0.7, Ack(cseq=3))
    producer.delivery.send(0.7)
    assert [record.cseq for record in producer.sockets.of(Record)[5:]] == [6, 7]
    # What was on its way is sent again over a new connection, and its room is free again.
    producer.link.reset(0.8)
    producer.answer(0.9, Welcome(committed_cseq=3, token="u"))
    producer.delivery.send(0.9)
    assert [r.cseq for r in producer.sockets.of(Record)[-4:]] == [4, 5, 6, 7]


def test_a_welcome_that_comes_twice_and_late_is_no_loss(producer: Producer) -> None:
    producer.answer(0.1, Welcome(committed_cseq=0, token="t", acked_cseq=0))
    assert producer.link.state == "open"
    assert producer.window.acked_cseq == 1
    producer.delivery.send(0.1)
    assert len(producer.sockets.of(Record)) == 1, "what is committed is not sent again"


@pytest.mark.parametrize("said", [1, None])
def test_an_analyzer_that_holds_less_than_it_knew_to_be_acknowledged_is_left(
    producer: Producer, said: int | None
) -> None:
    producer.answer(0.1, Welcome(committed_cseq=0, token="t", acked_cseq=said))
    assert producer.link.state == "refused"
    assert "holds less of this run" in (producer.link.refusal or "")
    producer.answer(0.2, Welcome(committed_cseq=1, token="t", acked_cseq=1))
    assert producer.link.state == "refused", "for good"


def test_what_was_never_sent_cannot_be_acknowledged(producer: Producer, caplog) -> None:
    producer.window.append(encode(make_batch(1)), 0, 0.0)
    producer.answer(0.1, Ack(cseq=2), Ack(cseq=2))
    assert producer.window.acked_cseq == 1
    assert caplog.text.count("acknowledges record 2") == 1
    producer.delivery.send(0.2)
    producer.answer(0.3, Ack(cseq=2))
    assert producer.window.all_acked


def test_greetings_and_heartbeats_tell_how_far_the_records_are(producer: Producer) -> None:
    producer.window.append(encode(make_batch(1)), 0, 0.0)
    producer.delivery.send(0.5)
    producer.delivery.send(1.5)
    assert producer.sockets.of(Heartbeat)[-1].last_cseq == 2
    producer.answer(1.5, Reset())
    producer.delivery.send(1.6)
    hello = producer.sockets.of(Hello)[-1]
    assert (hello.next_cseq, hello.acked_cseq) == (3, 1)


def test_nothing_is_believed_before_a_welcome(producer: Producer) -> None:
    before = producer.frames.totals()
    producer.answer(0.5, Reset())
    producer.window.append(encode(make_batch(1)), 0, 0.0)
    assert producer.link.state == "greeting"
    producer.answer(
        0.6,
        Ack(cseq=2),
        Credit(credit_bytes=1 << 30, delivered={"train": [(1, 100)]}),
        FinAck(),
        Heartbeat(),
    )
    assert producer.window.acked_cseq == 1
    assert producer.frames.totals() == before
    assert not producer.delivery.finished


def test_words_of_a_producer_are_no_answer(producer: Producer, caplog) -> None:
    producer.answer(0.5, *[Fin(last_cseq=1)] * 100)
    assert producer.link.state == "away"
    [record] = caplog.records
    assert "a fin, as producers send it" in record.getMessage()


def test_fin_is_said_again_until_it_is_heard(producer: Producer) -> None:
    producer.answer(0.0, FinAck())
    assert not producer.delivery.finished, "an answer to what was never said"
    for tenths in range(25):
        producer.delivery.send_fin(tenths / 10)
    assert producer.sockets.of(Fin) == [Fin(last_cseq=1)] * 3
    assert not producer.delivery.finished
    producer.answer(2.5, FinAck())
    assert producer.delivery.finished


def test_a_finack_stands_for_an_ack_that_was_lost(producer: Producer) -> None:
    producer.window.append(encode(make_batch(1)), 0, 0.0)
    producer.delivery.send(0.1)
    producer.delivery.send_fin(0.1)
    assert not producer.window.all_acked
    producer.answer(0.2, FinAck())
    assert producer.window.all_acked
