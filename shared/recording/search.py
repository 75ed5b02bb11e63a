"""Finds the next whole chunk when the length that should lead to it is damaged."""

import re
import zlib
from collections.abc import Iterator
from typing import Final

from shared.recording.bytesource import ByteSource
from shared.recording.chunks import HEAD_BYTES, parse_body, parse_head

_WINDOW_BYTES: Final = 1 << 20
# Opcode 6, then lengths under 4 GiB and no compression: their upper bytes are zero.
_HEAD: Final = re.compile(
    rb"(?=\x06.{4}\0{4}.{16}.{4}\0{4}.{4}\0{4}.{4}\0{4})",
    re.DOTALL,
)


def next_chunk(
    source: ByteSource, start: int, *, stop: int | None = None, recordings: frozenset[str]
) -> int | None:
    """Offset of the first whole chunk that begins in ``[start, stop)``, or None.

    Parameters
    ----------
    source : ByteSource
        Where to look.
    start, stop : int
        Offsets; without `stop` the search goes to the end.
    recordings : frozenset of str
        Recordings that the chunk may be of (any if empty): a message may itself hold bytes
        that look like a chunk.
    """
    for offset in _candidates(source, start, source.nbytes if stop is None else stop):
        head = parse_head(source.read(offset, HEAD_BYTES))
        if head is None or offset + head.nbytes > source.nbytes:
            continue
        body = source.read(offset + HEAD_BYTES, head.body_bytes)
        if zlib.crc32(body) == head.crc and _belongs(body, recordings):
            return offset
    return None


def _candidates(source: ByteSource, start: int, stop: int) -> Iterator[int]:
    for offset in range(start, stop, _WINDOW_BYTES):
        window = source.read(offset, _WINDOW_BYTES + HEAD_BYTES - 1)
        for match in _HEAD.finditer(window):
            if match.start() < min(_WINDOW_BYTES, stop - offset):
                yield offset + match.start()


def _belongs(body: bytes, recordings: frozenset[str]) -> bool:
    try:
        named, _ = parse_body(body)
    except ValueError:
        return False
    return not recordings or named <= recordings
