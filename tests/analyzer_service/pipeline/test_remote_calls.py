"""A frame's analysis comes back from another machine exactly as it would be made here."""

from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.pipeline.calls import FrameCall, FrameReply, analyze_payload
from analyzer_service.pipeline.remote_calls import MEASURE
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
        assert there.frame == replace(here.frame, samples=[], tile_maps=[])
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
