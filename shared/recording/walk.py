"""Goes through a recording chunk by chunk, whatever happened to it."""

import zlib
from collections.abc import Iterator
from typing import Final

from shared.recording.bytesource import ByteSource
from shared.recording.chunks import CHUNK_BYTES, HEAD_BYTES, ChunkHead, parse_body, parse_head
from shared.recording.envelope import END, MAGIC, MAX_START_BYTES, parse_start
from shared.recording.items import Loss, Recorded
from shared.recording.search import next_chunk

NOT_CLOSED: Final = "not closed: what its writer had not flushed is missing"
_NO_CHUNK: Final = "no whole chunk begins here: damaged or cut off"
_BAD_MAGIC: Final = "the file does not begin like an MCAP file"
_BAD_CHECKSUM: Final = "a chunk fails its checksum"
_MAGIC_SEARCH_BYTES: Final = 1 << 17


def is_recording(source: ByteSource) -> bool:
    """Tell whether a file begins like an MCAP file, or holds a chunk near its damaged start."""
    if source.read(0, len(MAGIC)) == MAGIC:
        return True
    stop = min(_MAGIC_SEARCH_BYTES, source.nbytes)
    return next_chunk(source, 0, stop=stop, recordings=frozenset()) is not None


class ChunkWalk:
    """One pass over `source` from offset `first` on; what cannot be read goes to `losses`.

    A chunk with agreeing lengths is taken or skipped as a whole. Anything else is passed over
    up to the next whole chunk of this recording.
    """

    def __init__(self, source: ByteSource, losses: list[Loss], *, first: int = 0) -> None:
        self._source = source
        self._losses = losses
        self._first = first
        self._recordings: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Recorded]:
        offset = max(self._behind_start(), self._first)
        while not self._at_end(offset):
            offset, items = self._take(offset)
            yield from items
        if self._source.read(offset, len(END)) != END:
            self._losses.append(Loss(self._source.nbytes, 0, NOT_CLOSED))

    def _behind_start(self) -> int:
        start = self._source.read(0, MAX_START_BYTES)
        if not start.startswith(MAGIC):
            self._losses.append(Loss(0, len(MAGIC), _BAD_MAGIC))
        parsed = parse_start(start)
        if parsed is None:
            return len(MAGIC)
        offset, recording = parsed
        self._recordings = frozenset({recording})
        return offset

    def _at_end(self, offset: int) -> bool:
        """Whether nothing follows but the end record, or as much of it as was written."""
        rest = self._source.nbytes - offset
        return rest <= len(END) and END.startswith(self._source.read(offset, rest))

    def _take(self, offset: int) -> tuple[int, list[Recorded]]:
        """Offset behind what stands at `offset`, and the items in it."""
        head = self._head(offset)
        if head is None:
            return self._pass_over(offset), []
        behind = offset + head.nbytes
        # Slices of bytes are made faster; a large body costs more to allocate than to read.
        take = self._source.view if head.body_bytes > CHUNK_BYTES else self._source.read
        body = take(offset + HEAD_BYTES, head.body_bytes)
        if zlib.crc32(body) != head.crc:
            return self._skip(offset, behind), []
        try:
            recordings, items = parse_body(body)
        except ValueError as error:
            return self._lose(offset, behind, f"a chunk of another program ({error})"), []
        self._recordings |= recordings
        return behind, items

    def _head(self, offset: int) -> ChunkHead | None:
        head = parse_head(self._source.read(offset, HEAD_BYTES))
        return head if head and offset + head.nbytes <= self._source.nbytes else None

    def _skip(self, offset: int, behind: int) -> int:
        """Leave out a damaged chunk; where its length leads nowhere, bytes went missing in it."""
        if self._at_end(behind) or self._head(behind):
            return self._lose(offset, behind, _BAD_CHECKSUM)
        return self._pass_over(offset)

    def _pass_over(self, offset: int) -> int:
        found = next_chunk(self._source, offset + 1, recordings=self._recordings)
        return self._lose(offset, self._data_end() if found is None else found, _NO_CHUNK)

    def _data_end(self) -> int:
        size = self._source.nbytes
        return size - len(END) if self._at_end(max(0, size - len(END))) else size

    def _lose(self, offset: int, behind: int, reason: str) -> int:
        self._losses.append(Loss(offset, behind - offset, reason))
        return behind
