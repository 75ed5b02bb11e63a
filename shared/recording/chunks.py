"""One chunk of a recording: built, recognized by its head, taken apart.

Each chunk names the channels of its messages again, so it can be read without any other part
of the file. The MCAP library gives the records; its `Writer` is not used, for it names a
channel once a file, keeps an index that grows with the file, and cannot take back what a full
disk cut short.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message

from shared.codec import MAX_MESSAGE_BYTES
from shared.recording.items import Recorded, make_item

CHUNK_BYTES: Final = 1 << 16
HEAD_BYTES: Final = 49
_RECORD_HEAD: Final = struct.Struct("<BQ")
_MESSAGE_HEAD_BYTES: Final = 22
_MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES + CHUNK_BYTES
# opcode, length, first and last time, uncompressed size, CRC, length of "", length
_CHUNK_HEAD: Final = struct.Struct("<BQQQQIIQ")


class ChunkDraft:
    """A chunk that is being filled."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._body_bytes = 0
        self._channels: set[int] = set()
        self._times_ns: list[int] = []

    @property
    def nbytes(self) -> int:
        """Size of the chunk record; 0 for an empty one."""
        return HEAD_BYTES + self._body_bytes if self._records else 0

    def nbytes_with(self, channel: Channel, message: bytes) -> int:
        """Size of the chunk record with one more message."""
        named = 0 if channel.id in self._channels else len(_record_bytes(channel))
        return HEAD_BYTES + self._body_bytes + named + len(message)

    def add(self, channel: Channel, message: bytes, at_ns: int) -> None:
        """Add a message record, and its channel's if this chunk does not name it yet."""
        if channel.id not in self._channels:
            self._channels.add(channel.id)
            self._push(_record_bytes(channel))
        self._push(message)
        self._times_ns = [min([*self._times_ns, at_ns]), max([*self._times_ns, at_ns])]

    def record(self) -> bytes:
        """The chunk as it stands in a file."""
        body = b"".join(self._records)
        chunk = Chunk(
            compression="",
            data=body,
            message_start_time=self._times_ns[0],
            message_end_time=self._times_ns[1],
            uncompressed_crc=zlib.crc32(body),
            uncompressed_size=len(body),
        )
        return _record_bytes(chunk)

    def _push(self, record: bytes) -> None:
        self._records.append(record)
        self._body_bytes += len(record)


@dataclass(frozen=True)
class ChunkHead:
    """What stands before a chunk's body."""

    body_bytes: int
    crc: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole chunk record."""
        return HEAD_BYTES + self.body_bytes


def message_record(channel: Channel, item: Recorded) -> bytes:
    """MCAP message of `item`."""
    message = Message(
        channel_id=channel.id,
        log_time=item.captured_at_ns,
        publish_time=item.captured_at_ns,
        sequence=item.sequence,
        data=item.payload,
    )
    return _record_bytes(message)


def parse_head(raw: bytes) -> ChunkHead | None:
    """Head of a chunk, or None if `raw` is none: its three lengths must agree."""
    if len(raw) < HEAD_BYTES:
        return None
    opcode, length, _, _, size, crc, compression, body = _CHUNK_HEAD.unpack_from(raw)
    whole = body <= _MAX_BODY_BYTES and size == body and length == body + HEAD_BYTES - 9
    if opcode != Opcode.CHUNK or compression != 0 or not whole:
        return None
    return ChunkHead(body, crc)


def parse_body(body: bytes) -> tuple[set[str], list[Recorded]]:
    """Recordings that a chunk's channels name (one, as written), and its items.

    Raises
    ------
    ValueError
        If anything in it cannot be read; `body` was checked against its CRC before, so
        another program wrote it.
    """
    channels: dict[int, Channel] = {}
    items: list[Recorded] = []
    try:
        for opcode, record in _records(memoryview(body)):
            stream = ReadDataStream(BytesIO(record))
            if opcode == Opcode.CHANNEL:
                channel = Channel.read(stream)
                channels[channel.id] = channel
            elif opcode == Opcode.MESSAGE and len(record) >= _MESSAGE_HEAD_BYTES:
                message = Message.read(stream, len(record))
                items.append(make_item(channels[message.channel_id].metadata, message))
            else:
                raise ValueError(f"record {opcode} of {len(record)} bytes")
    except (McapError, struct.error, KeyError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return {channel.metadata.get("recording", "") for channel in channels.values()}, items


def _records(view: memoryview) -> list[tuple[int, memoryview]]:
    records: list[tuple[int, memoryview]] = []
    while view:
        opcode, length = _RECORD_HEAD.unpack_from(view)
        record = view[_RECORD_HEAD.size :][:length]
        if len(record) != length:
            raise ValueError(f"record {opcode} reaches beyond its chunk")
        records.append((opcode, record))
        view = view[_RECORD_HEAD.size + length :]
    return records


def _record_bytes(record: Channel | Chunk | Message) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    taken: bytes = builder.end()  # type: ignore[no-untyped-call]
    return taken
