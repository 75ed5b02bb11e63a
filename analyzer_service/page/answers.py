"""What goes back to the browser: JSON in which NaN is null, numbers as raw bytes, errors."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

_ALIGNED: Final = 8
_DEEPEST: Final = 100


class PageError(Exception):
    """A request that cannot be answered: an HTTP status, and a sentence that says what to do."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def answer(content: Any, status: int = 200) -> Response:
    """`content` as JSON; NaN and infinity, which JSON lacks, are null.

    In ASCII, so that half characters, which a file may hold and UTF-8 lacks, are no error either.
    """
    text = json.dumps(_plain(content), allow_nan=False, separators=(",", ":"), default=str)
    return Response(text.encode(), status, media_type="application/json")


def failure(status: int, sentence: str, **more: Any) -> Response:
    """An error as JSON: ``{"error": sentence}``, and what else the browser needs to go on."""
    return answer({"error": sentence, **more}, status)


def arrays(facts: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> Response:
    """`facts` and little-endian arrays in one body, which the browser reads without parsing.

    Four bytes say how long the JSON is that follows. Its ``arrays`` name each array with its
    dtype (``f4``, ``f8``, ``u1``, ``i4``), shape, and offset from the end of the JSON; the JSON is
    padded, so that each array begins at a multiple of 8 bytes.
    """
    listed, parts, offset = [], [], 0
    for name, column in columns.items():
        little = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        place = {"name": name, "dtype": little.dtype.str[1:], "shape": little.shape}
        listed.append(place | {"offset": offset})
        raw = little.tobytes()
        parts.append(raw + bytes(-len(raw) % _ALIGNED))
        offset += len(parts[-1])
    head = json.dumps({**_plain(facts), "arrays": listed}, allow_nan=False).encode()
    head += b" " * (-(4 + len(head)) % _ALIGNED)
    body = b"".join([len(head).to_bytes(4, "little"), head, *parts])
    return Response(body, media_type="application/octet-stream")


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:  # nothing of ours is: somebody else wrote the file
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist(), depth)
    return value
