"""One chunk of a recording: built, recognized by its head, taken apart.

Each chunk names the channels of its messages again, so it can be read without any other part
of the file. The MCAP library gives the channels; its `Writer` is not used, for it names a
channel once a file, keeps an index that grows with the file, and cannot take back what a full
disk cut short. A message's few numbers are packed here: there may be 200,000 of them a second.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel

from shared.codec import MAX_MESSAGE_BYTES
from shared.recording.items import ChannelKey, Recorded, make_channel, read_key

CHUNK_BYTES: Final = 1 << 16
HEAD_BYTES: Final = 49
_RECORD_HEAD: Final = struct.Struct("<BQ")
# channel, sequence, log and publish time
_MESSAGE: Final = struct.Struct("<HIQQ")
_MESSAGE_HEAD: Final = struct.Struct("<BQHIQQ")
_MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES + CHUNK_BYTES
# opcode, length, first and last time, uncompressed size, CRC, length of "", length
_CHUNK_HEAD: Final = struct.Struct("<BQQQQIIQ")


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """An MCAP channel as it stands in each chunk that has messages of it."""

    number: int
    record: bytes

    @classmethod
    def of(cls, number: int, key: ChannelKey, token: str) -> "ChannelRecord":
        """Channel `number` of the recording `token`."""
        builder = RecordBuilder()
        make_channel(number, key, token).write(builder)
        return cls(number, builder.end())  # type: ignore[no-untyped-call]


class ChunkDraft:
    """A chunk that is being filled."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._channels: set[int] = set()
        self._first_ns = self._last_ns = 0

    @property
    def nbytes(self) -> int:
        """Size of the chunk record; 0 for an empty one."""
        return HEAD_BYTES + self._body_bytes if self._pieces else 0

    def nbytes_with(self, channel: ChannelRecord, item: Recorded) -> int:
        """Size of the chunk record with one more message."""
        named = 0 if channel.number in self._channels else len(channel.record)
        return HEAD_BYTES + self._body_bytes + named + _MESSAGE_HEAD.size + len(item.payload)

    def add(self, channel: ChannelRecord, item: Recorded) -> None:
        """Add a message, and its channel if this chunk does not name it yet."""
        at_ns, length = item.captured_at_ns, _MESSAGE.size + len(item.payload)
        if not self._pieces:
            self._first_ns = self._last_ns = at_ns
        elif at_ns > self._last_ns:
            self._last_ns = at_ns
        elif at_ns < self._first_ns:
            self._first_ns = at_ns
        self._body_bytes = self.nbytes_with(channel, item) - HEAD_BYTES
        if channel.number not in self._channels:
            self._channels.add(channel.number)
            self._pieces.append(channel.record)
        numbers = channel.number, item.sequence, at_ns, at_ns
        self._pieces += _MESSAGE_HEAD.pack(Opcode.MESSAGE, length, *numbers), item.payload

    def pieces(self) -> list[bytes]:
        """The chunk as it stands in a file: in one piece, unless a large payload is in it."""
        if self._body_bytes <= CHUNK_BYTES:
            body = b"".join(self._pieces)
            return [self._head(zlib.crc32(body)) + body]
        crc = 0
        for piece in self._pieces:
            crc = zlib.crc32(piece, crc)
        return [self._head(crc), *self._pieces]

    def _head(self, crc: int) -> bytes:
        size, times = self._body_bytes, (self._first_ns, self._last_ns)
        return _CHUNK_HEAD.pack(Opcode.CHUNK, HEAD_BYTES - 9 + size, *times, size, crc, 0, size)


@dataclass(frozen=True)
class ChunkHead:
    """What stands before a chunk's body."""

    body_bytes: int
    crc: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole chunk record."""
        return HEAD_BYTES + self.body_bytes


def parse_head(raw: bytes) -> ChunkHead | None:
    """Head of a chunk, or None if `raw` is none: its three lengths must agree."""
    if len(raw) < HEAD_BYTES:
        return None
    opcode, length, _, _, size, crc, compression, body = _CHUNK_HEAD.unpack_from(raw)
    whole = body <= _MAX_BODY_BYTES and size == body and length == body + HEAD_BYTES - 9
    if opcode != Opcode.CHUNK or compression != 0 or not whole:
        return None
    return ChunkHead(body, crc)


def parse_body(body: bytes | memoryview) -> tuple[set[str], list[Recorded]]:
    """Recordings that a chunk's channels name (one, as written), and its items.

    Raises
    ------
    ValueError
        If anything in it cannot be read; `body` was checked against its CRC before, so
        another program wrote it.
    """
    keys: dict[int, ChannelKey] = {}
    recordings: set[str] = set()
    items: list[Recorded] = []
    try:
        for opcode, start, end in _records(body):
            if opcode == Opcode.MESSAGE:
                number, sequence, at_ns, _ = _MESSAGE.unpack(body[start : start + _MESSAGE.size])
                payload = bytes(body[start + _MESSAGE.size : end])
                items.append(Recorded(*keys[number], sequence, at_ns, payload))
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(body[start:end])))
                keys[channel.id] = read_key(channel.metadata)
                recordings.add(channel.metadata.get("recording", ""))
            else:
                raise ValueError(f"record {opcode} of {end - start} bytes")
    except (McapError, struct.error, KeyError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return recordings, items


def _records(body: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """Opcode, start and end of each record's content."""
    offset = 0
    while offset < len(body):
        opcode, length = _RECORD_HEAD.unpack_from(body, offset)
        start, offset = offset + _RECORD_HEAD.size, offset + _RECORD_HEAD.size + length
        if offset > len(body):
            raise ValueError(f"record {opcode} reaches beyond its chunk")
        yield opcode, start, offset
