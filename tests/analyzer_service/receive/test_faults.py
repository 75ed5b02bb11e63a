"""What goes wrong on the wire or on the disk, while a run goes on."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.commit.database import StoreError
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Committed, RunPipeline
from analyzer_service.receive import sessions
from shared import protocol
from shared.codec import encode
from shared.transport.addresses import Address
from tests.analyzer_service.pipeline.driving import Said, make_said
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.running import QUICK, analyzer
from tests.builders import make_batch, make_frame, make_run_started


def finish(client: Client, said: Said) -> None:
    last = client.records(said.records)
    for frame in said.frames:
        client.frame(frame)
    client.say(protocol.Fin(last_cseq=last))
    client.expect(protocol.FinAck)


def refusal(client: Client) -> str:
    return client.expect(protocol.Reject).reason


class BrokenDisk:
    """Lets commits fail for as long as `broken` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = True
        self.failures = 0
        commit = RunPipeline.commit

        def fail_or_commit(pipeline: RunPipeline) -> Committed:
            if self.broken:
                self.failures += 1
                raise StoreError("disk full")
            return commit(pipeline)

        monkeypatch.setattr(RunPipeline, "commit", fail_or_commit)


def test_an_analyzer_killed_while_it_made_the_database_is_no_obstacle(
    address: Address, tmp_path: Path
) -> None:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    (folder / "metrics.sqlite").touch()
    said = make_said(epochs=1)
    with analyzer(address, tmp_path), Client(address, said.started) as client:
        client.greet()
        finish(client, said)
    with RunReader(folder) as reader:
        assert reader.state().status == "finished"


def test_nothing_is_acknowledged_until_the_store_has_it(
    address: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = BrokenDisk(monkeypatch)
    said = make_said(epochs=1)
    with analyzer(address, tmp_path), Client(address, said.started) as client:
        client.greet()
        last = client.records(said.records)
        for frame in said.frames:
            client.frame(frame)
        until = time.monotonic() + 10
        while disk.failures < 2:
            assert time.monotonic() < until
            client.listen(0.05)
        client.expect(protocol.Heartbeat)  # it lives, and takes nothing as safe
        assert not client.heard(protocol.Ack)
        assert not client.heard(protocol.Credit)
        disk.broken = False
        client.expect_ack(last)
        client.expect_delivered((frame.stream, frame.fseq) for frame in said.frames)
        client.say(protocol.Fin(last_cseq=last))
        client.expect(protocol.FinAck)
    said_once = [r for r in caplog.records if "cannot be written" in r.getMessage()]
    assert len(said_once) == 1
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert sum(1 for _ in reader.rows()) == 12


def test_a_run_whose_folder_cannot_be_made_yet_is_received_later(
    address: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened, attempts = RunPipeline.open, []

    def fail_twice(*args: Any, **settings: Any) -> RunPipeline:
        attempts.append(args)
        if len(attempts) <= 2:
            raise StoreError("disk full")
        return opened(*args, **settings)

    monkeypatch.setattr(RunPipeline, "open", fail_twice)
    monkeypatch.setattr(sessions, "_OPEN_AGAIN_S", 0.0)
    said = make_said(epochs=1)
    with analyzer(address, tmp_path), Client(address, said.started) as client:
        for _ in range(2):
            client.greet()
            client.records(said.records)
            client.expect(protocol.Reset)
        assert not client.heard(protocol.Ack)
        client.greet()
        finish(client, said)
        assert not client.heard(protocol.Reject)
    assert len([r for r in caplog.records if "is tried again" in r.getMessage()]) == 1
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert sum(1 for _ in reader.rows()) == 12


def test_garbage_on_both_sockets_changes_nothing(
    address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = make_said(epochs=1)
    with (
        analyzer(address, tmp_path, once=True) as running,
        Client(address, said.started) as client,
        Client(address, said.started) as vandal,
    ):
        client.greet()
        for i in range(50):
            for socket in (vandal.ctl, vandal.bulk, client.ctl, client.bulk):
                socket.send_multipart([os.urandom(i), os.urandom(3 * i), b""])
            vandal.bulk.send_multipart([protocol.pack(protocol.Attach(token="guess")), b"x"])
            vandal.ctl.send_multipart([protocol.pack(protocol.Record(cseq=1)), os.urandom(20)])
        client.ctl.send_multipart([protocol.pack(protocol.Record(cseq=2)), b"\x80"])
        client.say(protocol.Record(cseq=2), encode(make_frame(1)))
        client.bulk.send_multipart([protocol.pack(protocol.Frame(stream="val", fseq=1)), b"\xc1"])
        client.bulk.send_multipart(
            [protocol.pack(protocol.Frame(stream="val", fseq=9)), *encode(make_frame(1))]
        )
        vandal.expect(protocol.Reset)
        finish(client, said)
        running.join()
        assert running.loop.sessions.refused.malformed >= 204
    named = [r for r in caplog.records if "is no message" in r.getMessage()]
    assert 1 <= len(named) <= 4, "one line for each peer at most"
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert sum(1 for _ in reader.rows()) == 12


def test_a_stranger_is_told_to_say_hello(address: Address, tmp_path: Path) -> None:
    with analyzer(address, tmp_path), Client(address, make_run_started()) as client:
        client.record(7, make_batch(1))
        client.expect(protocol.Reset)
        client.frame(make_frame(1))
        client.expect(protocol.Reset)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ({"protocol": (2, 0)}, "protocol version 1.1, the producer 2.0: install the same"),
        ({"schema_version": (9, 3)}, "message version 1.1, the producer 9.3: install the same"),
        ({"run_name": "../etc"}, "not a plain file name"),
    ],
)
def test_a_producer_that_cannot_be_heard_is_told_why(
    address: Address, tmp_path: Path, hello: dict[str, object], said: str
) -> None:
    with analyzer(address, tmp_path), Client(address, make_run_started()) as client:
        client.hello(**hello)
        assert said in refusal(client)
    assert list(tmp_path.iterdir()) == []


def test_a_second_live_process_of_one_identity_is_refused_by_name(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    with (
        analyzer(address, tmp_path),
        Client(address, said.started, instance="first") as first,
        Client(address, said.started, instance="second") as second,
    ):
        first.greet()
        second.hello()
        until = time.monotonic() + 10
        while not second.heard(protocol.Reject):
            assert time.monotonic() < until
            first.say(protocol.Heartbeat())
            first.listen(0.05)
        reason = refusal(second)
        assert "'rank0' of run 'demo' is already connected as instance 'first'" in reason
        finish(first, said)


def test_a_process_takes_the_place_of_one_that_fell_silent(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    settings = QUICK | {"producer_timeout_s": 30.0}
    with analyzer(address, tmp_path, sessions=settings), Client(address, said.started) as dead:
        dead.greet()
        last = dead.records(said.records[:3])
        dead.expect_ack(last)
        with Client(address, said.started) as heir:
            assert heir.greet().committed_cseq == last
            finish(heir, said)


def test_a_name_that_another_run_took_is_refused(address: Address, tmp_path: Path) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path):
        with Client(address, said.started) as first:
            first.greet()
            finish(first, said)
        with Client(address, make_run_started(run_id="run-0002")) as second:
            second.hello()
            assert "auto_analysis_demo holds another run (run-0001)" in refusal(second)


def test_a_folder_that_is_no_run_is_refused_and_left_alone(
    address: Address, tmp_path: Path
) -> None:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with analyzer(address, tmp_path), Client(address, make_run_started()) as client:
        client.greet()
        client.record(1, client.started)
        assert "thesis.tex is in it" in refusal(client)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_start_that_contradicts_its_hello_is_refused(address: Address, tmp_path: Path) -> None:
    with analyzer(address, tmp_path), Client(address, make_run_started()) as client:
        client.greet()
        client.record(1, make_run_started(run_name="other"))
        assert "run_name 'demo', its run says 'other'" in refusal(client)
    assert list(tmp_path.iterdir()) == []


def test_records_behind_a_gap_wait_for_the_gap(address: Address, tmp_path: Path) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path), Client(address, said.started) as client:
        client.greet()
        client.record(1, said.started)
        client.record(4, said.records[3])
        client.expect(protocol.Reset)
        client.expect_ack(1)
        finish(client, said)


def test_a_frame_sent_twice_gives_its_credit_back_twice(address: Address, tmp_path: Path) -> None:
    started = make_run_started()
    with analyzer(address, tmp_path), Client(address, started) as client:
        client.greet()
        client.records([started, make_batch(1)])
        cost = client.frame(make_frame(1)) + client.frame(make_frame(1))
        while client.credit_returned < cost:
            client.expect(protocol.Credit)
        assert client.credit_returned == cost
        assert client.delivered == {("train", 1)}


def test_credit_of_a_new_connection_leaves_out_what_is_still_held(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = make_run_started()
    with analyzer(address, tmp_path), Client(address, started) as client:
        whole = client.greet().credit_bytes
        client.record(1, started)
        client.expect_ack(1)
        monkeypatch.setattr(RunPipeline, "commit", lambda _: Committed())
        cost = client.frame(make_frame(1))
        until = time.monotonic() + 10
        while client.greet().credit_bytes != whole - cost:
            assert time.monotonic() < until
    assert cost > 0


def test_an_overspent_credit_is_not_heeded(address: Address, tmp_path: Path) -> None:
    started = make_run_started()
    cost = sum(len(part) for part in encode(make_frame(1)))
    with (
        analyzer(address, tmp_path, sessions={"credit_bytes": cost}) as running,
        Client(address, started) as client,
    ):
        client.greet()
        for number in range(1, 11):  # the run has not started: all of them have to wait
            client.frame(make_frame(number))
        until = time.monotonic() + 10
        while running.loop.sessions.refused.malformed < 7:
            assert time.monotonic() < until
            client.listen(0.02)
        client.record(1, started)
        client.expect_delivered(("train", i) for i in (1, 2, 3))
        client.expect(protocol.Heartbeat)
        assert client.delivered == {("train", 1), ("train", 2), ("train", 3)}
