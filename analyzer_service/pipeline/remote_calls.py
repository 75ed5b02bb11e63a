"""How the analysis of a frame travels to another machine, and its results back.

What writes stays here: the frame of a detailed step is written once its results are back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.cluster.remote import FollowUp, Plain, RemoteCall
from analyzer_service.commit.store import FrameState, StoredFrame
from analyzer_service.pipeline.calls import (
    FrameCall,
    FrameReply,
    analyze_payload,
    keep_payload,
    measure_payload,
)
from shared.errors import ContractError

_NOWHERE: Final = Path()


def _pack_call(call: FrameCall) -> Plain:
    vectors = call.tissue.vectors
    return {
        "stream": call.stream,
        "fseq": call.fseq,
        "analyze": call.analyze,
        "analysis_freq": call.analysis_freq,
        "stains": list(vectors.stains),
        "rows": [list(row) for row in vectors.rows],
        "mpp": call.tissue.mpp,
    }


def _unpack_call(plain: Plain) -> tuple[FrameCall]:
    first, second = plain["stains"]
    vectors = StainVectors((first, second), tuple((r, g, b) for r, g, b in plain["rows"]))
    call = FrameCall(
        stream=plain["stream"],
        fseq=plain["fseq"],
        analyze=plain["analyze"],
        folder=_NOWHERE,
        incarnation=1,
        analysis_freq=plain["analysis_freq"],
        tissue=TissueFacts(vectors, plain["mpp"]),
    )
    return (call,)


def _pack_measured(measured: FrameReply) -> Plain:
    frame = measured.frame
    return {
        "to_keep": measured.to_keep,
        "stream": frame.stream,
        "fseq": frame.fseq,
        "state": frame.state,
        "error": frame.error,
        "phase": frame.phase,
        "phase_step": frame.phase_step,
        "part": frame.part,
        "samples": [list(sample) for sample in frame.samples],
        "maps": None if frame.maps is None else list(frame.maps),
        "tile_maps": [list(maps) for maps in frame.tile_maps],
    }


def _unpack_measured(plain: Plain) -> FrameReply:
    state: FrameState = _one_of(get_args(FrameState), plain["state"])
    frame = StoredFrame(
        stream=_of(str, plain["stream"]),
        fseq=_of(int, plain["fseq"]),
        state=state,
        error=_of(str | None, plain["error"]),
        phase=_of(str | None, plain["phase"]),
        phase_step=_of(int | None, plain["phase_step"]),
        part=None if plain["part"] is None else _numbers(plain["part"]),
        samples=[(_of(str, said), _numbers(values)) for said, values in plain["samples"]],
        maps=None if plain["maps"] is None else _pair(plain["maps"]),
        tile_maps=[_pair(maps) for maps in plain["tile_maps"]],
    )
    return FrameReply(frame, to_keep=_of(bool, plain["to_keep"]))


def _pair(plain: Plain) -> tuple[str, bytes]:
    layers, blob = plain
    return _of(str, layers), _of(bytes, blob)


def _numbers(plain: Plain) -> dict[str, float]:
    for name, value in plain.items():
        _of(str, name)
        _of(int | float | None, value)
    found: dict[str, float] = plain
    return found


def _of(kind: Any, found: Any) -> Any:
    if not isinstance(found, kind):
        raise ContractError(f"expected {kind}, got {type(found).__name__}")
    return found


def _one_of(possible: tuple[Any, ...], found: Any) -> Any:
    if found not in possible:
        raise ContractError(f"expected one of {possible}, got {found!r}")
    return found


def _follow_up(measured: FrameReply, args: tuple[Any, ...]) -> FollowUp | None:
    """What is left to do here; of an answer to another frame, everything (see `judge`)."""
    (call,) = args
    frame = measured.frame
    if (frame.stream, frame.fseq) != (call.stream, call.fseq):
        raise ContractError(f"asked for {call.stream} {call.fseq}, got {frame.stream} {frame.fseq}")
    if frame.state == "failed":  # for want of memory there, perhaps: it fails where it fails here
        return analyze_payload, args
    return (keep_payload, (*args, measured)) if measured.to_keep else None


MEASURE: Final = RemoteCall(
    name="analyzer_service.pipeline.remote_calls:MEASURE",
    function=measure_payload,
    pack_args=_pack_call,
    unpack_args=_unpack_call,
    pack_value=_pack_measured,
    unpack_value=_unpack_measured,
    follow_up=_follow_up,
)

REMOTE: Final[Mapping[Callable[..., Any], RemoteCall]] = {analyze_payload: MEASURE}
"""What stands for a call of the pipeline on another machine; all others stay here."""
