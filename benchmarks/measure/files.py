"""Recordings written, read and replayed, beside the MCAP library's own writer and reader."""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from mcap.records import Message
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from analyzer_service.pipeline.settings import Calls, PipelineSettings
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.replay import Replay
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.workers import PoolWorkers
from shared.recording import Recorded, RecordingReader, RecordingWriter

_CHUNK_BYTES: Final = 1 << 16
_NOTHING: Final = "measure.idle_analyzer:analyze_nothing"


def measure_recording(case: str, items: list[Recorded]) -> list[dict[str, Any]]:
    """Rates of one file, ours and the library's; reading finds it in the page cache."""
    writers: dict[str, Callable[[Path, list[Recorded]], int]] = {
        "ours": _ours,
        "mcap, small chunks, CRC": lambda path, given: _library(path, given, chunked=True),
        "mcap, no chunks, no CRC": lambda path, given: _library(path, given, chunked=False),
    }
    readers: dict[str, Callable[[Path], int]] = {
        "ours": lambda path: sum(1 for _ in RecordingReader(path)),
        "mcap, small chunks, CRC": _read_by_library,
        "mcap, no chunks, no CRC": _read_by_library,
    }
    # The first file of all finds no memory ready for it, whoever writes it.
    _rates(case, "warm-up", items, writers["ours"], readers["ours"])
    return [_rates(case, name, items, writers[name], readers[name]) for name in writers]


def _rates(
    case: str,
    name: str,
    items: list[Recorded],
    write: Callable[[Path, list[Recorded]], int],
    read: Callable[[Path], int],
) -> dict[str, Any]:
    mb = sum(len(item.payload) for item in items) / 1e6
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        path = Path(folder) / "written.mcap"
        began = time.perf_counter()
        write(path, items)
        written_s = time.perf_counter() - began
        began = time.perf_counter()
        count = read(path)
        read_s = time.perf_counter() - began
    if count != len(items):
        raise RuntimeError(f"{name}: {count} of {len(items)} items came back")
    return {
        "case": f"recording, {case}",
        "by": name,
        "write_mb_per_s": round(mb / written_s, 1),
        "read_mb_per_s": round(mb / read_s, 1),
        "write_items_per_s": round(len(items) / written_s),
        "read_items_per_s": round(len(items) / read_s),
    }


def _ours(path: Path, items: list[Recorded]) -> int:
    with closing(RecordingWriter(path)) as writer:
        for item in items:
            writer.write(item)
    return len(items)


def _library(path: Path, items: list[Recorded], *, chunked: bool) -> int:
    with path.open("wb") as file:
        writer = Writer(
            file,
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.NONE,
            use_chunking=chunked,
            enable_crcs=chunked,
        )
        writer.start()
        channel = writer.register_channel("timed", "msgpack", 0)
        for item in items:
            at_ns = item.captured_at_ns
            writer.add_message(channel, at_ns, item.payload, at_ns, item.sequence)
        writer.finish()
    return len(items)


def _read_by_library(path: Path) -> int:
    with path.open("rb") as file:
        records = StreamReader(file, validate_crcs=True).records
        return sum(isinstance(record, Message) for record in records)


def measure_replay(case: str, items: list[Recorded], *, idle: bool = False) -> dict[str, Any]:
    """Seconds from the opening of a recording to the end of its replayed run."""
    calls = Calls(analyze=_NOTHING) if idle else Calls()
    batches = sum(item.channel == "ctl" for item in items) - 1
    mb = sum(len(item.payload) for item in items) / 1e6
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        path = Path(folder) / "written.mcap"
        _ours(path, items)
        began = time.perf_counter()
        settings = RunsSettings(Path(folder), pipeline=PipelineSettings(calls=calls))
        with closing(PoolWorkers(1)) as workers:
            Replay(Inventory([path]), workers, settings).run()
        seconds = time.perf_counter() - began
    return {
        "case": f"replay, {case}, with JSON files and report",
        "seconds": round(seconds, 2),
        "batches_per_s": round(batches / seconds),
        "mb_per_s": round(mb / seconds, 1),
    }
