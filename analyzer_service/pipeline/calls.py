"""What runs inside workers: a frame's analysis, and any function by its name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.commit.maps import pack_maps
from analyzer_service.commit.store import StoredFrame
from analyzer_service.sinks.frames import is_detailed, write_frame
from shared.codec import Buffer, decode_payload
from shared.errors import ContractError
from shared.messages import BatchFrame


@dataclass(frozen=True, slots=True)
class FrameCall:
    """Which frame a payload must be, how to analyze it, and where to keep it."""

    stream: str
    fseq: int
    analyze: str
    folder: Path
    incarnation: int
    analysis_freq: int
    tissue: TissueFacts


@dataclass(frozen=True, slots=True)
class FrameReply:
    """A frame's results, and what went wrong with its file, if anything.

    `to_keep` tells that the frame is one of a detailed step, and not yet in the frames folder.
    """

    frame: StoredFrame
    file_error: str | None = None
    to_keep: bool = False


def resolve(name: str) -> Callable[..., Any]:
    """Function that is named ``module:name``."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


def call_by_name(name: str, *args: Any) -> str:
    """Name of the file that the function named `name` writes for `args`."""
    return Path(resolve(name)(*args)).name


def analyze_payload(payload: Buffer, call: FrameCall) -> FrameReply:
    """Results of a frame's payload; whatever is wrong with it is said in the reply.

    The frame of a detailed step is written to the frames folder here, before its results can
    be committed.
    """
    try:
        frame = _decode(payload, call)
    except ContractError as error:
        return FrameReply(_undecodable(call, error))
    return _keep(frame, call, _measure(frame, call))


def measure_payload(payload: Buffer, call: FrameCall) -> FrameReply:
    """The same results, with nothing written: `keep_payload` does the rest."""
    try:
        frame = _decode(payload, call)
    except ContractError as error:
        return FrameReply(_undecodable(call, error))
    return _measure(frame, call)


def keep_payload(payload: Buffer, call: FrameCall, measured: FrameReply) -> FrameReply:
    """Write the frame of a detailed step, of which `measured` has the results."""
    return _keep(_decode(payload, call), call, measured)


def _measure(frame: BatchFrame, call: FrameCall) -> FrameReply:
    keys: dict[str, Any] = {"phase": frame.phase, "phase_step": frame.phase_step}
    detailed = is_detailed(
        frame.phase, frame.phase_step, frame.batch_idx, analysis_freq=call.analysis_freq
    )
    results = _analyze(frame, call)
    stored = StoredFrame(call.stream, call.fseq, **results, **keys)
    return FrameReply(stored, to_keep=detailed)


def _keep(frame: BatchFrame, call: FrameCall, measured: FrameReply) -> FrameReply:
    if not measured.to_keep:
        return measured
    try:
        file, size = write_frame(call.folder, frame, incarnation=call.incarnation)
    except OSError as error:
        return FrameReply(measured.frame, file_error=str(error))
    return FrameReply(replace(measured.frame, file=file, file_bytes=size))


def _undecodable(call: FrameCall, error: ContractError) -> StoredFrame:
    return StoredFrame(call.stream, call.fseq, "undecodable", error=str(error))


def _decode(payload: Buffer, call: FrameCall) -> BatchFrame:
    message = decode_payload(payload)
    if not isinstance(message, BatchFrame):
        raise ContractError(f"expected a batch_frame, got a {message.type}")
    if (message.stream, message.fseq) != (call.stream, call.fseq):
        came = f"{message.stream} {message.fseq}"
        raise ContractError(f"sent as frame {call.stream} {call.fseq}, says that it is {came}")
    return message


def _analyze(frame: BatchFrame, call: FrameCall) -> dict[str, Any]:
    try:
        result = resolve(call.analyze)(frame, call.tissue)
        described = [sample.model_dump_json() for sample in frame.samples]
        samples = list(zip(described, result.samples, strict=True))
    except Exception as error:  # the stage's edge: it counts as a failed analysis
        text = " ".join(str(error).split())
        return {"state": "failed", "error": f"{type(error).__name__}: {text}"[:500]}
    maps = pack_maps(frame.attention) if frame.phase == "val" else None
    tiles = [packed for packed in map(pack_maps, result.tile_maps) if packed is not None]
    return {
        "state": "analyzed",
        "part": dict(result.row),
        "samples": samples,
        "maps": maps,
        "tile_maps": tiles if len(tiles) == len(samples) else [],
    }
