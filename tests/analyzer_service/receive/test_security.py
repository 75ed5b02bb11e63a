"""What one peer can do to the runs of the others: little, and not for long."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from analyzer_service.commit.reader import RunReader
from analyzer_service.receive.flood import DEAF_S, STRIKES, WINDOW_S
from analyzer_service.receive.refused import Refused
from shared import protocol
from shared.transport.addresses import Address, parse_address
from shared.transport.server import Incoming
from tests.analyzer_service.pipeline.driving import Said, make_said
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.running import analyzer
from tests.builders import make_run_started
from tests.shared.transport.ports import free_port


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Address:
    if request.param == "tcp":
        return parse_address(f"tcp://127.0.0.1:{free_port()}")
    return parse_address(f"ipc://{tmp_path_factory.mktemp('s')}/a")


def garbage(vandal: Client) -> None:
    for socket in (vandal.ctl, vandal.bulk):
        socket.send_multipart([os.urandom(20), bytes(1000)])


def many_parts(vandal: Client) -> None:
    vandal.ctl.send_multipart([b"x"] * 2000)


def greetings(vandal: Client) -> None:
    vandal.hello(producer=f"p{os.urandom(3).hex()}")


@contextmanager
def flooding(address: Address, flood: Callable[[Client], None]) -> Iterator[None]:
    """A peer on a thread of its own that sends as fast as it can."""
    over = threading.Event()

    def run() -> None:
        with Client(address, make_run_started(run_name="vandal", run_id="v")) as vandal:
            vandal.ctl.setsockopt(zmq.SNDTIMEO, 100)
            vandal.bulk.setsockopt(zmq.SNDTIMEO, 100)
            while not over.is_set():
                try:
                    flood(vandal)
                except zmq.Again:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
        assert not thread.is_alive()


def deliver(client: Client, said: Said) -> None:
    client.greet()
    last = client.records(said.records)
    for frame in said.frames:
        client.frame(frame)
    client.expect_ack(last)
    client.say(protocol.Fin(last_cseq=last))
    client.expect(protocol.FinAck)


@pytest.mark.parametrize("flood", [garbage, many_parts, greetings])
def test_a_flooding_peer_does_not_stop_anothers_run(
    address: Address, tmp_path: Path, flood: Callable[[Client], None], caplog
) -> None:
    said = make_said(epochs=1)
    with (
        analyzer(address, tmp_path) as running,
        flooding(address, flood),
        Client(address, said.started) as client,
    ):
        deliver(client, said)
        while running.loop.sessions.refused.ignored < 100:
            client.say(protocol.Heartbeat())
            client.expect(protocol.Heartbeat)
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert sum(1 for _ in reader.rows()) == 12
    floods = [r.getMessage() for r in caplog.records if "floods: ignored" in r.getMessage()]
    assert len(floods) >= 1
    assert len(caplog.records) < 500, "the log is not flooded either"


def incoming(nbytes: int = 10) -> Incoming:
    return Incoming(b"peer", b"", [bytes(nbytes)])


def test_a_peer_is_ignored_for_a_while_and_then_heard_again() -> None:
    refused = Refused()
    for _ in range(STRIKES):
        refused.count(incoming(), "no message", now=1.0)
    assert not refused.ignores(b"peer", now=1.0)
    refused.count(incoming(), "no message", now=2.0)
    assert refused.ignores(b"peer", now=2.0)
    assert not refused.ignores(b"other", now=2.0)
    assert refused.ignores(b"peer", now=2.0 + DEAF_S - 0.01)
    assert not refused.ignores(b"peer", now=2.0 + DEAF_S)
    assert (refused.malformed, refused.ignored) == (STRIKES + 1, 2)


def test_few_strikes_in_each_window_are_forgiven() -> None:
    refused = Refused()
    for window in range(5):
        for _ in range(STRIKES):
            refused.count(incoming(), "no message", now=window * WINDOW_S)
    assert not refused.ignores(b"peer", now=5 * WINDOW_S)


def test_large_garbage_counts_for_more() -> None:
    refused = Refused()
    for _ in range(STRIKES // 257 + 1):
        refused.count(incoming(256 << 20), "no message", now=0.0)
    assert refused.ignores(b"peer", now=0.0)


def test_a_hello_every_second_is_no_flood() -> None:
    refused = Refused()
    for second in range(1000):
        refused.greeted(b"peer", now=float(second))
        refused.greeted(b"peer", now=second + 0.5)
        assert not refused.ignores(b"peer", now=float(second))


def test_beyond_the_most_producers_a_further_one_is_refused(
    address: Address, tmp_path: Path
) -> None:
    def producer(name: str) -> Client:
        return Client(address, make_run_started(producer=name))

    with (
        analyzer(address, tmp_path, sessions={"max_producers": 2}),
        producer("rank0") as first,
        producer("rank1") as second,
        producer("rank2") as third,
    ):
        first.greet()
        second.greet()
        third.hello()
        reason = third.expect(protocol.Reject).reason
        assert "hears 2 producers already" in reason
        assert "--max-trainers" in reason
        first.disconnect()
        first.connect()
        assert first.greet().committed_cseq == 0, "one that comes back is no further one"


def test_a_connection_speaks_for_one_producer(address: Address, tmp_path: Path) -> None:
    with (
        analyzer(address, tmp_path, sessions={"max_producers": 2}) as running,
        Client(address, make_run_started()) as client,
    ):
        for number in range(5):
            client.greet(producer=f"rank{number}")
        assert [s.hello.producer for s in running.loop.sessions] == ["rank4"]
