"""A frame's analysis comes back from another machine exactly as it would be made here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.cluster.chunks import AnsweredCall
from analyzer_service.cluster.judging import RunHere, judge
from analyzer_service.cluster.outbox import TravelingCall
from analyzer_service.pipeline.calls import (
    FrameCall,
    FrameReply,
    analyze_payload,
    keep_payload,
)
from analyzer_service.pipeline.remote_calls import MEASURE
from analyzer_service.workers import Outcome, Ticket
from shared.codec import encode, join
from shared.messages import BatchFrame
from tests.analyzer_service.pipeline.driving import make_validation
from tests.builders import make_frame

ESTIMATED = StainVectors.of([[0.651, 0.7, 0.291], [0.07, 0.99, 0.1]])


def call_for(folder: Path, frame: BatchFrame, **overrides: object) -> FrameCall:
    call = FrameCall(
        stream=frame.stream,
        fseq=frame.fseq,
        analyze="analyzer_service.analyses.frame:analyze_frame",
        folder=folder,
        incarnation=2,
        analysis_freq=100,
        tissue=TissueFacts(ESTIMATED, mpp=0.5),
    )
    return replace(call, **overrides)  # type: ignore[arg-type]


def analyze_there(payload: bytes, call: FrameCall) -> FrameReply:
    """By way of bytes, as on another machine; then what is left to be done here."""
    (args,) = MEASURE.unpack_args(msgpack.unpackb(msgpack.packb(MEASURE.pack_args(call))))
    packed = msgpack.packb(MEASURE.pack_value(MEASURE.function(payload, args)), strict_types=True)
    value: FrameReply = MEASURE.unpack_value(msgpack.unpackb(packed))
    assert MEASURE.follow_up is not None
    follow_up = MEASURE.follow_up(value, (call,))
    if follow_up is None:
        return value
    function, rest = follow_up
    reply: FrameReply = function(payload, *rest)
    return reply


@pytest.mark.parametrize("phase", ["train", "val"])
@pytest.mark.parametrize("freq", [1, 100])
def test_results_and_files_are_the_same(tmp_path: Path, phase: str, freq: int) -> None:
    frame = make_validation(3) if phase == "val" else make_frame(3)
    payload = join(encode(frame))
    replies = []
    for name, analyze in (("here", analyze_payload), ("there", analyze_there)):
        (tmp_path / name).mkdir()
        call = call_for(tmp_path / name, frame, analysis_freq=freq)
        replies.append(analyze(payload, call))
    here, there = replies
    assert repr(there) == repr(here)  # also which numbers are NaN, and which are integers
    assert here.frame.state == "analyzed"
    assert (here.frame.file is not None) == (phase == "val" or freq == 1)
    if here.frame.file is not None:
        first, second = ((tmp_path / name / here.frame.file) for name in ("here", "there"))
        assert first.read_bytes() == second.read_bytes()


def test_what_is_wrong_with_a_frame_is_said_the_same(tmp_path: Path) -> None:
    frame = make_frame(3)
    payload = join(encode(frame))
    failing = call_for(tmp_path, frame, analyze="tests.analyzer_service.pipeline.stubs:missing")
    cases = [
        (payload, failing, "failed"),
        (payload, call_for(tmp_path, frame, fseq=4), "undecodable"),
        (payload[:-20], call_for(tmp_path, frame), "undecodable"),
    ]
    for given, call, state in cases:
        here, there = analyze_payload(given, call), analyze_there(given, call)
        assert replace(there.frame, samples=(), tile_maps=()) == here.frame
        assert [*there.frame.samples, *there.frame.tile_maps] == []
        assert [*here.frame.samples, *here.frame.tile_maps] == []
        assert here.frame.state == state


def test_a_folder_that_cannot_be_written_costs_no_numbers(tmp_path: Path) -> None:
    frame = make_frame(3)
    payload = join(encode(frame))
    call = call_for(tmp_path / "none" / "there", frame, analysis_freq=1)
    here, there = analyze_payload(payload, call), analyze_there(payload, call)
    assert repr(there) == repr(here)
    assert here.file_error is not None
    assert here.frame.file is None


def measured(tmp_path: Path) -> tuple[dict[str, Any], FrameCall]:
    frame = make_validation(3)
    call = call_for(tmp_path, frame)
    return MEASURE.pack_value(MEASURE.function(join(encode(frame)), call)), call


@pytest.mark.parametrize(
    ("name", "garbage"),
    [
        *[("state", "perfect"), ("state", None), ("stream", 1), ("fseq", "3"), ("error", [])],
        *[("phase_step", 1.5), ("part", {"loss": "low"}), ("part", {1: 1.0}), ("part", [1])],
        *[("samples", None), ("samples", [["{}"]]), ("samples", [[1, {}]])],
        *[("maps", ["layers", "text"]), ("tile_maps", [None]), ("to_keep", 1)],
    ],
)
def test_garbage_is_no_result(tmp_path: Path, name: str, garbage: object) -> None:
    plain, call = measured(tmp_path)
    judged = judge(traveling(call), AnsweredCall("done", {**plain, name: garbage}))
    assert isinstance(judged, RunHere)
    assert judged.function is analyze_payload
    assert "no answer to the call" in (judged.because or "")
    del plain[name]
    assert isinstance(judge(traveling(call), AnsweredCall("done", plain)), RunHere)


def test_the_result_of_another_frame_is_no_result(tmp_path: Path) -> None:
    plain, call = measured(tmp_path)
    assert judge(traveling(call), AnsweredCall("done", plain)) == RunHere(
        keep_payload, (call, MEASURE.unpack_value(plain))
    )
    judged = judge(traveling(call), AnsweredCall("done", {**plain, "fseq": 4}))
    assert isinstance(judged, RunHere)
    assert "asked for val 3, got val 4" in (judged.because or "")


@pytest.mark.parametrize("answered", [None, 7, "text", [], {}, [[]]])
def test_anything_else_is_no_result(tmp_path: Path, answered: object) -> None:
    call = call_for(tmp_path, make_validation(3))
    assert isinstance(judge(traveling(call), AnsweredCall("done", answered)), RunHere)


def traveling(call: FrameCall) -> TravelingCall:
    def ignore(outcome: Outcome[Any]) -> None:
        pass

    packed = MEASURE.pack_args(call)
    return TravelingCall(
        Ticket(-1), MEASURE, analyze_payload, (call,), packed, 1.0, ignore, b"", None
    )
