"""A chunk of calls on its way to a cluster, and its answers on the way back, as msgpack."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import msgpack

from analyzer_service.cluster.remote import Plain
from analyzer_service.workers.protocol import How
from shared.errors import ContractError


@dataclass(frozen=True, slots=True)
class AskedCall:
    """One call of a chunk; `has_payload` tells whether one of the chunk's payloads is its own."""

    name: str
    args: Plain
    timeout_s: float
    has_payload: bool


@dataclass(frozen=True, slots=True)
class AskedChunk:
    """Calls, and the installation (see `installation`) that alone may answer them."""

    installation: str
    calls: tuple[AskedCall, ...]


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """How one call ended there, in how many milliseconds of a processor; see `Outcome`."""

    how: How
    value: Plain = None
    error: str | None = None
    errno: int | None = None
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class AnsweredChunk:
    """Answers in the order of the calls; or why there are none, in `refused`."""

    answers: tuple[AnsweredCall, ...] = ()
    refused: str | None = None


def pack_asked(asked: AskedChunk) -> bytes:
    """`asked` as bytes.

    Raises
    ------
    TypeError
        If an argument is not plain.
    """
    calls = [[each.name, each.args, each.timeout_s, each.has_payload] for each in asked.calls]
    return _pack([asked.installation, calls])


def unpack_asked(packed: bytes) -> AskedChunk:
    """What `pack_asked` packed; raises `ContractError` if it is nothing of that kind."""
    try:
        installation, calls = msgpack.unpackb(packed)
        return AskedChunk(installation, tuple(AskedCall(*each) for each in calls))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ContractError(f"no chunk of calls: {error}") from error


def pack_answered(answered: AnsweredChunk) -> bytes:
    """`answered` as bytes; raises `TypeError` if a value is not plain."""
    answers = [
        [each.how, each.value, each.error, each.errno, each.took_ms] for each in answered.answers
    ]
    return _pack([answered.refused, answers])


def unpack_answered(packed: bytes, count: int) -> AnsweredChunk:
    """What `pack_answered` packed of `count` answers; raises `ContractError` if it is not that."""
    try:
        refused, answers = msgpack.unpackb(packed)
        answered = AnsweredChunk(tuple(map(_answered, answers)), _text(refused))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ContractError(f"no answers: {error}") from error
    if answered.refused is None and len(answered.answers) != count:
        raise ContractError(f"expected {count} answers, got {len(answered.answers)}")
    return answered


def _answered(fields: Sequence[Any]) -> AnsweredCall:
    how, value, error, errno, took_ms = fields
    if how not in get_args(How):
        raise ValueError(f"{how!r} is no way to end")
    if not (errno is None or isinstance(errno, int)):
        raise ValueError(f"{errno!r} is no error number")
    if not (isinstance(took_ms, float) and 0 <= took_ms < math.inf):
        raise ValueError(f"{took_ms!r} ms is no time that a call took")
    return AnsweredCall(how, value, _text(error), errno, took_ms)


def _text(found: Any) -> str | None:
    if not (found is None or isinstance(found, str)):
        raise ValueError(f"{found!r} is no text")
    return found


def _pack(content: Plain) -> bytes:
    # Strict: a tuple, or a number of numpy's, would come back as another type than it went.
    packed: bytes = msgpack.packb(content, strict_types=True)
    return packed
