"""Sessions alone: time is a number, the socket a list, and what comes in is anything."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import protocol
from shared.codec import encode
from shared.transport.server import Channel, Incoming
from tests.analyzer_service.receive.wire import HELLO, wire
from tests.builders import START_NS, make_batch, make_frame, make_run_ended, make_run_started

CONTROLS = st.sampled_from(
    [
        HELLO,
        HELLO.model_copy(update={"instance": "two"}),
        HELLO.model_copy(update={"incarnation": 2}),
        protocol.Attach(token="t"),
        protocol.Record(cseq=1),
        protocol.Record(cseq=2),
        protocol.Record(cseq=2**31),
        protocol.Frame(stream="train", fseq=1),
        protocol.Fin(last_cseq=1),
        protocol.Heartbeat(),
        protocol.FinAck(),
    ]
).map(protocol.pack)
MESSAGES = st.sampled_from(
    [encode(message) for message in (make_run_started(), make_batch(1), make_frame(1))]
)
PARTS = st.one_of(MESSAGES, st.lists(st.binary(max_size=64), max_size=4))
HEADERS = st.one_of(CONTROLS, st.binary(max_size=64))
STEPS = st.tuples(
    st.sampled_from(["ctl", "bulk"]), st.sampled_from([b"a", b"b"]), HEADERS, PARTS, st.floats(0, 2)
)


@given(greeted=st.booleans(), steps=st.lists(STEPS, max_size=25))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_comes_nothing_is_raised(
    greeted: bool,
    steps: list[tuple[Channel, bytes, bytes, list[bytes], float]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with wire(tmp_path_factory.mktemp("run")) as made:
        now = 0.0
        if greeted:
            made.say(HELLO, peer=b"a")
            made.say(protocol.Record(cseq=1), make_run_started(), peer=b"a")
            (session,) = made.sessions
            made.say(protocol.Attach(token=session.token), channel="bulk", peer=b"b")
        for channel, peer, header, parts, seconds in steps:
            now += seconds
            made.sessions.take(channel, Incoming(peer, header, parts), now)
            made.commit(now)
        for session in made.sessions:
            assert session.committed_cseq <= session.received
        assert made.sessions.refused.malformed <= len(steps)


def test_answers_that_cannot_go_are_paid_later(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        (welcome,) = made.answers(protocol.Welcome)
        assert isinstance(welcome, protocol.Welcome)
        made.say(protocol.Attach(token=welcome.token), channel="bulk")
        made.say(protocol.Record(cseq=1), make_run_started())
        made.say(protocol.Frame(stream="train", fseq=1), make_frame(1), channel="bulk")
        made.open = False
        made.commit()
        made.commit()
        assert made.answers(protocol.Ack) == []
        made.open = True
        made.commit()
        assert made.answers(protocol.Ack) == [protocol.Ack(cseq=1)]
        (credit,) = made.answers(protocol.Credit)
        assert isinstance(credit, protocol.Credit)
        assert credit.delivered == {"train": [(1, 1)]}
        made.commit()
        assert len(made.answers(protocol.Ack)) == len(made.answers(protocol.Credit)) == 1


def test_a_hello_that_is_repeated_gets_the_same_token(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(HELLO, now=1.0)
        tokens = {w.token for w in made.answers(protocol.Welcome)}  # type: ignore[attr-defined]
        assert len(tokens) == 1


def test_a_welcome_says_which_greeting_it_answers(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO.model_copy(update={"acked_cseq": 7}))
        (welcome,) = made.answers(protocol.Welcome)
        assert isinstance(welcome, protocol.Welcome)
        assert welcome.acked_cseq == 7


def test_records_that_broke_off_are_asked_for_by_the_next_heartbeat(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(protocol.Record(cseq=1), make_run_started())
        made.say(protocol.Heartbeat(last_cseq=1))
        made.commit()
        assert made.answers(protocol.Reset) == []
        made.say(protocol.Heartbeat(last_cseq=2))
        made.say(protocol.Heartbeat())  # of a producer that does not say it
        made.commit()
        assert len(made.answers(protocol.Reset)) == 1


def test_an_ack_that_was_lost_is_said_again_after_a_heartbeat(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(protocol.Heartbeat())
        made.commit()
        assert made.answers(protocol.Ack) == [], "nothing is committed"
        made.say(protocol.Record(cseq=1), make_run_started())
        made.commit()
        made.commit()
        assert made.answers(protocol.Ack) == [protocol.Ack(cseq=1)]
        made.say(protocol.Heartbeat(last_cseq=1))
        made.commit()
        assert made.answers(protocol.Ack) == [protocol.Ack(cseq=1)] * 2


@pytest.mark.parametrize(("behind_ns", "lag_ms"), [(1_500_000_000, 1500.0), (-(10**9), 0.0)])
def test_the_ingest_lag_is_the_age_of_the_last_record_when_it_came(
    tmp_path: Path, behind_ns: int, lag_ms: float
) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.wall_ns = START_NS + behind_ns
        made.say(protocol.Record(cseq=1), make_run_started())
        made.wall_ns += 10**12
        made.commit(now=2.0)
        (beat,) = made.answers(protocol.Heartbeat)
        assert isinstance(beat, protocol.Heartbeat)
        assert beat.ingest_lag_ms == lag_ms


def test_time_that_this_process_stood_still_is_not_silence(tmp_path: Path) -> None:
    with wire(tmp_path, producer_timeout_s=30.0) as made:
        made.say(HELLO)
        made.sessions.forgive(3600.0)
        made.sessions.tick(3600.0)
        (session,) = made.sessions
        assert not session.away
        made.sessions.tick(3600.0 + 6.0)
        assert session.away
        made.say(protocol.Heartbeat(), now=3607.0)
        assert not session.away
        made.sessions.tick(3607.0 + 31.0)
        assert list(made.sessions) == []


def test_frames_alone_are_no_sign_that_records_can_come(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        (welcome,) = made.answers(protocol.Welcome)
        assert isinstance(welcome, protocol.Welcome)
        made.say(protocol.Record(cseq=1), make_run_started())
        for now in range(1, 12):
            made.say(protocol.Attach(token=welcome.token), channel="bulk", now=float(now))
            made.sessions.tick(float(now))
        beats = len(made.answers(protocol.Heartbeat))
        assert beats == 5, "silence makes the producer connect anew"
        (run,) = made.runs
        assert list(run.heard.values()) == [11.0], "but it lives"
        made.say(protocol.Heartbeat(), now=12.0)
        made.sessions.tick(12.0)
        assert len(made.answers(protocol.Heartbeat)) == beats + 1


def test_who_never_starts_a_run_cannot_fill_memory_with_its_frames(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        (welcome,) = made.answers(protocol.Welcome)
        assert isinstance(welcome, protocol.Welcome)
        made.say(protocol.Attach(token=welcome.token), channel="bulk")
        for fseq in range(1, 101):
            frame = make_frame(fseq, count=1, size=256)
            made.say(protocol.Frame(stream="train", fseq=fseq), frame, channel="bulk")
        (session,) = made.sessions
        assert 0 < session.early_bytes <= 4 << 20
        assert made.sessions.refused.malformed == 100 - len(session.early)


def test_a_greeting_after_the_end_keeps_no_run_open(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(protocol.Record(cseq=1), make_run_started())
        made.say(protocol.Record(cseq=2), make_run_ended())
        made.say(HELLO)
        made.commit()
        made.say(HELLO)
        for _ in range(10):
            made.commit()
            made.runs.tick(0.0)
        assert made.runs.ended == 1


def test_strangers_are_reset_once_a_second(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        for now in (0.0, 0.1, 0.9, 1.1):
            made.say(protocol.Heartbeat(), now=now)
        assert len(made.answers(protocol.Reset)) == 2


def test_a_run_keeps_its_name(tmp_path: Path) -> None:
    with wire(tmp_path) as made:
        made.say(HELLO)
        made.say(protocol.Record(cseq=1), make_run_started())
        made.say(HELLO.model_copy(update={"producer": "rank1", "run_name": "b"}), peer=b"other")
        (reject,) = made.answers(protocol.Reject)
        assert isinstance(reject, protocol.Reject)
        assert "received as 'demo', not as 'b'" in reject.reason
