"""What stands around the chunks of a recording: magic and header before, an end record behind."""

import struct
from io import BytesIO
from typing import Final

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import DataEnd, Footer, Header
from mcap.writer import MCAP0_MAGIC

MAGIC: Final = MCAP0_MAGIC
MAX_START_BYTES: Final = 4096
_PROFILE: Final = "sidelight"
_RECORD_HEAD: Final = struct.Struct("<BQ")


def make_start(token: str) -> bytes:
    """First bytes of the recording `token`."""
    builder = RecordBuilder()
    Header(profile=_PROFILE, library=token).write(builder)
    return MAGIC + _take(builder)


def parse_start(raw: bytes) -> tuple[int, str] | None:
    """Length of the start and the recording's token, or None if its header is damaged.

    The magic is not looked at. A header whose length disagrees with its texts is damaged.
    """
    start = len(MAGIC) + _RECORD_HEAD.size
    if len(raw) < start:
        return None
    opcode, length = _RECORD_HEAD.unpack_from(raw, len(MAGIC))
    stream = ReadDataStream(BytesIO(raw[start:MAX_START_BYTES]))
    try:
        header = Header.read(stream)
    except (McapError, struct.error, ValueError):
        return None
    if opcode != Opcode.HEADER or stream.count != length:
        return None
    return start + length, header.library


def _make_end() -> bytes:
    builder = RecordBuilder()
    DataEnd(data_section_crc=0).write(builder)
    Footer(summary_start=0, summary_offset_start=0, summary_crc=0).write(builder)
    return _take(builder) + MAGIC


def _take(builder: RecordBuilder) -> bytes:
    taken: bytes = builder.end()  # type: ignore[no-untyped-call]
    return taken


END: Final = _make_end()
"""Last bytes of every recording that was closed; it has no index."""
