"""Recordings made for a test."""

from pathlib import Path
from typing import Any

from shared.recording import Recorded, RecordingWriter
from tests.analyzer_service.pipeline.driving import Said
from tests.builders import make_recorded


def items_of(said: Said, **overrides: Any) -> list[Recorded]:
    """Records and frames of `said`, each frame behind its batch."""
    frames = {(frame.stream, frame.fseq): frame for frame in said.frames}
    facts = {
        "run_id": said.started.run_id,
        "run_name": said.started.run_name,
        "producer": said.origin.producer,
        "incarnation": said.origin.incarnation,
    }
    items = []
    for cseq, message in enumerate(said.records, start=1):
        at_ns = getattr(message, "captured_at_ns", None) or getattr(
            message, "ended_at_ns", said.started.started_at_ns
        )
        items.append(make_recorded(message, cseq, captured_at_ns=at_ns, **facts, **overrides))
        ref = getattr(message, "frame", None)
        if ref is not None and (ref.stream, ref.fseq) in frames:
            items.append(make_recorded(frames[ref.stream, ref.fseq], **facts, **overrides))
    return items


def write(path: Path, items: list[Recorded], *, flush: bool = False) -> Path:
    with RecordingWriter(path) as writer:
        for item in items:
            assert writer.write(item)
            if flush:
                writer.flush()
    return path
