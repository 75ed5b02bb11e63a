"""How the analysis of a frame travels to another machine, and its results back.

What writes stays here: the frame of a detailed step is written once its results are back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.cluster.remote import FollowUp, Plain, RemoteCall
from analyzer_service.commit.store import StoredFrame
from analyzer_service.pipeline.calls import (
    FrameCall,
    FrameReply,
    analyze_payload,
    keep_payload,
    measure_payload,
)

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
    fields = dict(plain)
    to_keep = fields.pop("to_keep")
    fields["samples"] = [(described, values) for described, values in plain["samples"]]
    fields["tile_maps"] = [_pair(maps) for maps in plain["tile_maps"]]
    fields["maps"] = None if plain["maps"] is None else _pair(plain["maps"])
    return FrameReply(StoredFrame(**fields), to_keep=to_keep)


def _pair(plain: Plain) -> tuple[str, bytes]:
    layers, blob = plain
    return layers, blob


def _follow_up(measured: FrameReply, args: tuple[Any, ...]) -> FollowUp | None:
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
