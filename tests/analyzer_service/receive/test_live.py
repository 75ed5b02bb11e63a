"""Whole runs over real sockets, from a producer that only these tests know."""

import json
import math
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.alerts.settings import NotifySettings
from analyzer_service.commit.reader import AlertRecord, RunReader
from analyzer_service.sinks.notifier import Notifier
from analyzer_service.workers import InlineWorkers
from shared import protocol
from shared.recording import RecordingReader
from shared.transport.addresses import Address
from tests.analyzer_service.pipeline.driving import Said, make_said, run_whole
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.running import QUICK, analyzer
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started


def send_all(client: Client, said: Said) -> None:
    last = client.records(said.records)
    for frame in said.frames:
        client.frame(frame)
    client.say(protocol.Fin(last_cseq=last))
    client.expect(protocol.FinAck)


def files_of(folder: Path) -> dict[str, bytes]:
    """PNG and JSON files: what a replay must give again, byte for byte."""
    paths = (p for p in folder.rglob("*") if p.suffix in (".png", ".json"))
    return {path.name: path.read_bytes() for path in paths}


def test_a_whole_run_is_welcomed_acknowledged_credited_and_ended(
    address: Address, tmp_path: Path
) -> None:
    said = make_said()
    with analyzer(address, tmp_path, once=True) as running, Client(address, said.started) as client:
        welcome = client.greet()
        assert welcome.committed_cseq == 0
        assert welcome.delivered == {}
        assert welcome.run_folder == str(tmp_path / "auto_analysis_demo")
        last = client.records(said.records)
        cost = sum(client.frame(frame) for frame in said.frames)
        client.expect_ack(last)
        client.expect_delivered((frame.stream, frame.fseq) for frame in said.frames)
        assert client.credit_returned == cost
        client.say(protocol.Fin(last_cseq=last))
        client.expect(protocol.FinAck)
        running.join()
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert reader.books()["rank0/train"].delivered == 20
    assert json.loads((tmp_path / "auto_analysis_demo/final_training_metrics.json").read_text())


def test_the_recording_holds_what_was_accepted_in_the_order_of_arrival(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path, once=True, record=True) as running:
        with Client(address, said.started) as client:
            client.greet()
            client.record(1, said.started)
            client.expect_ack(1)
            client.frame(said.frames[0])
            client.expect_delivered([("train", 1)])
            client.frame(said.frames[0])  # again: known, so not recorded twice
            client.record(1, said.started)
            client.record(3, said.records[2])  # a gap: ignored
            client.expect(protocol.Reset)
            last = client.records(said.records[1:], first=2)
            for frame in said.frames[1:]:
                client.frame(frame)
            client.say(protocol.Fin(last_cseq=last))
            client.expect(protocol.FinAck)
        running.join()
    items = list(RecordingReader(tmp_path / "auto_analysis_demo/stream.mcap"))
    assert [i.sequence for i in items if i.channel == "ctl"] == list(range(1, last + 1))
    assert [i.sequence for i in items if i.channel == "train"] == list(range(1, 11))
    assert [(i.channel, i.sequence) for i in items[:2]] == [("ctl", 1), ("train", 1)]
    assert {(i.run_id, i.run_name, i.producer, i.incarnation) for i in items} == {
        ("run-0001", "demo", "rank0", 1)
    }


def test_resending_everything_changes_nothing(address: Address, tmp_path: Path) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path / "live", once=True) as running:
        with Client(address, said.started) as client:
            client.greet()
            half = client.records(said.records[:6])
            for frame in said.frames[:4]:
                client.frame(frame)
            client.expect_ack(half)
            client.expect_delivered(("train", i) for i in range(1, 5))
            client.disconnect()
            client.connect()
            welcome = client.greet()
            assert welcome.committed_cseq == half
            assert welcome.delivered["train"] == [(1, 4)]
            send_all(client, said)
        running.join()
    with closing(InlineWorkers()) as workers:
        expected = run_whole(tmp_path / "once", workers, said)
    assert files_of(tmp_path / "live/auto_analysis_demo") == files_of(expected)


def test_an_analyzer_that_was_started_again_knows_what_it_held(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    with Client(address, said.started) as client:
        with analyzer(address, tmp_path):
            client.greet()
            half = client.records(said.records[:6])
            client.frame(said.frames[0])
            client.expect_ack(half)
            client.expect_delivered([("train", 1)])
        with analyzer(address, tmp_path, once=True) as running:
            client.record(half + 1, said.records[half])
            client.expect(protocol.Reset)
            welcome = client.greet()
            assert welcome.committed_cseq == half
            assert welcome.delivered["train"] == [(1, 1)]
            last = client.records(said.records[half:], first=half + 1)
            for frame in said.frames[1:]:
                client.frame(frame)
            client.say(protocol.Fin(last_cseq=last))
            client.expect(protocol.FinAck)
            running.join()
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert reader.books()["rank0/train"].delivered == 10
        assert sum(1 for _ in reader.rows()) == 12


def test_a_rank_that_stays_away_after_the_analyzer_started_again_is_lost(
    address: Address, tmp_path: Path
) -> None:
    starts = [make_run_started(producer=f"rank{i}", world_size=2) for i in range(2)]
    with Client(address, starts[0]) as client:
        with analyzer(address, tmp_path), Client(address, starts[1]) as other:
            for rank, each in enumerate((client, other)):
                each.greet(rank=rank, world_size=2)
                each.records([starts[rank], make_batch(1, rank=rank, frame=None)])
                each.expect_ack(2)
        with analyzer(address, tmp_path, once=True, sessions=QUICK) as running:
            client.greet(rank=0, world_size=2)
            client.record(3, make_run_ended())
            client.say(protocol.Fin(last_cseq=3))
            client.expect(protocol.FinAck)
            running.join()
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        state = reader.state()
    assert (state.status, state.released) == ("failed", 3), "a row each, and the run's own"
    assert state.reason == "rank1 went away without ending the run"


def test_frames_that_overtake_the_start_of_their_run_are_kept(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path), Client(address, said.started) as client:
        client.greet()
        for frame in said.frames[:3]:
            client.frame(frame)
        client.bulk.send(protocol.pack(protocol.Heartbeat()))
        client.listen(0.2)
        assert client.delivered == set()
        client.records(said.records)
        client.expect_delivered(("train", i) for i in (1, 2, 3))


def test_a_producer_that_falls_silent_fails_its_run_and_the_report_is_written(
    address: Address, tmp_path: Path
) -> None:
    started = make_run_started(analysis_freq=4)
    with analyzer(address, tmp_path, sessions=QUICK, once=True) as running:
        client = Client(address, started)
        client.greet()
        client.records([started, make_batch(1), make_batch(2)])
        client.frame(make_frame(1))
        client.expect_ack(3)
        client.expect_delivered([("train", 1)])
        client.close()
        running.join()
    folder = tmp_path / "auto_analysis_demo"
    with RunReader(folder) as reader:
        assert reader.state().status == "failed"
        assert reader.drops() == {"peer_lost": 1}
        assert reader.books()["rank0/train"].pending == 0
    assert (folder / "final_summary_report.md").exists()


def test_a_producer_that_shows_life_is_not_lost(address: Address, tmp_path: Path) -> None:
    started = make_run_started()
    with analyzer(address, tmp_path, sessions=QUICK), Client(address, started) as client:
        client.greet()
        client.record(1, started)
        until = time.monotonic() + 2 * QUICK["producer_timeout_s"]
        while time.monotonic() < until:
            client.say(protocol.Heartbeat())
            client.expect(protocol.Heartbeat)
        client.records([make_drop(1), make_run_ended()], first=2)
        client.say(protocol.Fin(last_cseq=3))
        client.expect(protocol.FinAck)
        assert not client.heard(protocol.Reset)
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"


def test_a_producer_that_leaves_after_its_last_record_is_not_waited_for(
    address: Address, tmp_path: Path
) -> None:
    said = make_said(epochs=1)
    with analyzer(address, tmp_path, once=True) as running:  # lost only after 30 s
        client = Client(address, said.started)
        client.greet()
        for frame in said.frames:
            client.frame(frame)
        client.expect_ack(client.records(said.records))
        client.close()
        begun = time.monotonic()
        running.join()
        assert time.monotonic() - begun < 15
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"


def test_two_runs_are_served_side_by_side(address: Address, tmp_path: Path) -> None:
    first = make_said(epochs=1)
    second = make_said(epochs=1, run_id="run-0002", run_name="other")
    with (
        analyzer(address, tmp_path),
        Client(address, first.started) as one,
        Client(address, second.started) as two,
    ):
        one.greet()
        two.greet()
        send_all(two, second)
        send_all(one, first)
    for name in ("demo", "other"):
        with RunReader(tmp_path / f"auto_analysis_{name}") as reader:
            assert reader.state().status == "finished"


@pytest.mark.parametrize("ranks", [2])
def test_a_run_of_two_ranks_ends_when_both_have(
    address: Address, tmp_path: Path, ranks: int
) -> None:
    starts = [make_run_started(producer=f"rank{i}", world_size=ranks) for i in range(ranks)]
    with analyzer(address, tmp_path, once=True) as running:
        clients = [Client(address, started) for started in starts]
        for rank, client in enumerate(clients):
            client.greet(rank=rank, world_size=ranks)
            client.records([starts[rank], make_batch(1, rank=rank)])
            client.frame(make_frame(1, rank=rank))
        for client in clients:
            client.record(3, make_run_ended())
            client.say(protocol.Fin(last_cseq=3))
        for client in clients:
            client.expect(protocol.FinAck)
        running.join()
        for client in clients:
            client.close()
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert reader.state().status == "finished"
        assert [len(list(reader.rows(of=of))) for of in ("ranks", "run")] == [2, 1]


def test_an_alert_is_handed_on_once_as_its_row_is_committed(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    notify = NotifySettings(urls=("json://localhost",))

    def tell(_: Notifier, run_name: str, alert: AlertRecord) -> None:
        told.append((run_name, alert.title))

    monkeypatch.setattr(Notifier, "tell", tell)
    said = make_said()
    nan = said.records[5].model_copy(update={"loss": math.nan})
    broken = replace(said, records=[*said.records[:5], nan, *said.records[6:]])
    with (
        analyzer(address, tmp_path, once=True, notify=notify) as running,
        Client(address, said.started) as client,
    ):
        client.greet()
        send_all(client, broken)
        running.join()
    assert told == [("demo", "NaN or infinity")]
    with RunReader(tmp_path / "auto_analysis_demo") as reader:
        assert [alert.step for alert in reader.alerts()] == [5]
