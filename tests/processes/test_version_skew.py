"""Versions that differ, both ways, as real processes: an older one is heard, a newer minor one is
understood, a newer major one is refused by name and costs no scalar."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.verify.run_folder import verify_folder
from shared.protocol import PROTOCOL_VERSION, dotted
from tests.processes.audit import audit
from tests.processes.commands import run
from tests.processes.scene import Scene
from tests.processes.skew import (
    CONVERSATIONS,
    Analyzer,
    Fields,
    Producer,
    Said,
    as_newer_minor,
    conversation,
)
from tests.shared.test_golden_protocol import golden

pytestmark = pytest.mark.process

OURS = dotted(PROTOCOL_VERSION)
WRITTEN = sorted(path.stem for path in CONVERSATIONS.glob("v*.txt"))
Answer = Callable[[Fields], Iterable[Fields | bytes]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.fixture
def producer(scene: Scene) -> Iterator[Producer]:
    made = Producer(scene.endpoint)
    yield made
    made.close()


def expect_whole(folder: Path) -> None:
    """Everything of a conversation: three training batches, one dropped frame, one validation."""
    found = audit(folder)
    found.expect_once(3)
    found.expect_no_gap()
    assert (found.frame_count, found.failures, found.status) == ((4, 3, 1), {}, "finished")
    assert verify_folder(folder).faults == []
    with RunReader(folder) as reader:
        assert [row.values["loss"] for row in reader.rows(phase="train")] == [1.0, 2.0, 3.0]
        assert [row.values["samples"] for row in reader.rows()] == [1, 1, 0, 1]
        assert reader.drops() == {"queue_full": 1}


@pytest.mark.parametrize("newer", [False, True], ids=["as written", "as a newer minor"])
@pytest.mark.parametrize("version", WRITTEN)
def test_what_another_minor_version_says_is_committed_whole(
    scene: Scene, producer: Producer, version: str, newer: bool
) -> None:
    whole = conversation(version)
    analyzer = scene.analyzer("--once", "--metrics", "off")
    producer.say_all(as_newer_minor(whole) if newer else whole)
    assert analyzer.wait(60) == 0, scene.said()
    expect_whole(scene.home / "runs" / "auto_analysis_old")
    assert "no message" not in scene.said()


def test_this_version_has_a_conversation_of_its_own() -> None:
    assert f"v{OURS}" in WRITTEN


MAJOR = {"kind": "hello", "protocol": [2, 0], "run_name": "next", "producer": "rank7", "who": {}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, f"this analyzer speaks protocol version {OURS}, the producer 2.0"),
        ({"protocol": [2, 0]}, f"this analyzer speaks protocol version {OURS}, the producer 2.0"),
        ({"schema_version": [2, 0]}, "the producer 2.0"),
    ],
    ids=["another form", "the same form", "messages only"],
)
def test_a_producer_of_a_newer_major_version_is_refused_by_name(
    scene: Scene, producer: Producer, change: Fields | None, reason: str
) -> None:
    analyzer = scene.analyzer("--metrics", "off")
    hello = MAJOR if change is None else conversation(WRITTEN[0])[0].header | change
    producer.say(Said("ctl", (msgpack.packb(hello),)))
    reject = producer.expect("reject")
    assert reason in reject["reason"]
    assert "install the same Sidelight on both sides" in reject["reason"]
    names = f"{hello['run_name']}: {hello['producer']}"
    assert f"ERROR {names} refused: {reject['reason']}" in scene.said()
    whole = Producer(scene.endpoint)  # and nobody else's run is disturbed
    whole.say_all(conversation(WRITTEN[-1]))
    whole.close()
    scene.end(analyzer)
    expect_whole(scene.home / "runs" / "auto_analysis_old")


def publish(scene: Scene, answer: Answer, *, batches: int = 30) -> tuple[dict[str, Any], Analyzer]:
    """Outcome of a publisher of today against an analyzer that answers like `answer`."""
    analyzer = Analyzer(scene.endpoint, answer)
    publisher = scene.publisher(batches=batches, step_s=0.01, close_timeout=5.0)
    analyzer.until(lambda: publisher.poll() is not None)
    analyzer.close()
    return scene.outcome(publisher), analyzer


def expect_recorded(scene: Scene, outcome: dict[str, Any], batches: int) -> None:
    """Training went on, and the journal has every batch of it."""
    assert not outcome["complete"]
    assert outcome["records_lost"] == 0
    assert outcome["journal"] is not None
    run("analyzer_service", "replay", outcome["journal"], "--output-dir", "again", cwd=scene.home)
    found = audit(scene.home / "again" / "auto_analysis_bare")
    found.expect_once(batches)
    assert found.frame_count == (batches, batches, 0)
    assert found.status == "finished"


def test_an_analyzer_of_a_newer_major_version_costs_no_scalar(scene: Scene) -> None:
    reason = f"this analyzer speaks protocol version 2.0, the producer {OURS}: install the same"

    def refuse(header: Fields) -> Iterable[Fields]:
        if header["kind"] == "hello":
            yield {"kind": "reject", "reason": reason, "code": 426, "upgrade": {"to": [2, 0]}}

    outcome, analyzer = publish(scene, refuse)
    assert outcome["refusal"] == reason
    assert [header["kind"] for header in analyzer.headers] == ["hello"], "it is not asked again"
    assert f"this run is not sent any more: {reason}. Training goes on." in scene.said()
    expect_recorded(scene, outcome, 30)


def test_an_analyzer_that_cannot_be_understood_costs_no_scalar(scene: Scene) -> None:
    def babble(header: Fields) -> Iterable[bytes]:
        if header["kind"] == "hello":
            yield b"\x00\x01SIDELIGHT/2"
            yield msgpack.packb({"kind": "greeting", "session": [1, 2]})

    outcome, _ = publish(scene, babble, batches=150)
    assert scene.said().count("install the same Sidelight on both sides") == 1
    expect_recorded(scene, outcome, 150)


def obliging(extra: Fields, *, older: bool) -> Answer:
    """Commits everything at once; as an older one it leaves out what may be left out."""
    optional: Fields = {} if older else {"run_folder": "/runs/a", "delivered": {}}

    def answer(header: Fields) -> Iterable[Fields]:
        kind = header["kind"]
        if kind == "hello":
            yield {
                "kind": "welcome",
                "committed_cseq": 0,
                "credit_bytes": 1 << 20,
                "token": "t" * 32,
                **optional,
                **extra,
            }
        elif kind == "record":
            yield {"kind": "ack", "cseq": header["cseq"], **extra}
        elif kind == "frame":
            delivered = {header["stream"]: [[header["fseq"], header["fseq"]]]}
            yield {"kind": "credit", "credit_bytes": 1 << 16, "delivered": delivered, **extra}
        elif kind == "heartbeat":
            yield {"kind": "heartbeat", **extra}
        elif kind == "fin":
            yield {"kind": "finack", **extra}

    return answer


@pytest.mark.parametrize(
    ("extra", "older"),
    [({}, True), ({"tomorrow": {"deep": [1, None]}, "protocol": [1, 99]}, False)],
    ids=["older", "newer"],
)
def test_an_analyzer_of_another_minor_version_gets_everything(
    scene: Scene, extra: Fields, older: bool
) -> None:
    outcome, analyzer = publish(scene, obliging(extra, older=older), batches=150)
    assert outcome["complete"], scene.said()
    assert outcome["books"]["records"]["committed"] == 152
    assert outcome["totals"]["train"]["delivered"] == 150
    cseqs = [header["cseq"] for header in analyzer.headers if header["kind"] == "record"]
    assert cseqs == list(range(1, 153))
    heard_as_1_0 = {name: msgpack.unpackb(golden((1, 0), name)) for name in KNOWN_TO_1_0}
    for header in analyzer.headers:
        kind = "heartbeat_producer" if header["kind"] == "heartbeat" else header["kind"]
        assert heard_as_1_0[kind].keys() <= header.keys(), "an older one misses something"


KNOWN_TO_1_0 = ("hello", "attach", "record", "frame", "heartbeat_producer", "fin")
