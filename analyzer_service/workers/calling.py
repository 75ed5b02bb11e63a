"""A call on its way to a worker process, run there, and its answer on the way back.

Parent and child are one program, and nobody else has a hand on their connection: so pickle.
"""

import mmap
import os
import pickle
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from analyzer_service.workers.protocol import Outcome, failed

READY: Final = b"ready"
_MAPPED, _UNMAPPED = b"\0", b"\1"


class Answer(NamedTuple):
    """How a call ended, and whether its process maps no byte of its payload any more."""

    outcome: Outcome[Any]
    unmapped: bool


def pack_call(
    call: Callable[..., Any], args: tuple[Any, ...], payload: bytes | int | None
) -> bytes:
    """A call with its payload, or with the size of a payload in a file that comes along."""
    return pickle.dumps((call, args, payload), protocol=5)


def run_packed(packed: bytes | bytearray, fd: int | None) -> bytes:
    """Run what `pack_call` made and pack the answer; closes `fd`, the payload's file."""
    mapping: mmap.mmap | None = None
    try:
        call, args, payload = pickle.loads(packed)
        if fd is not None:
            mapping = mmap.mmap(fd, payload, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
            payload = mapping
        answer = _run(call, args, payload)
    except BaseException as error:
        answer = _pack(failed(error))
    finally:
        if fd is not None:
            os.close(fd)
    return (_UNMAPPED if mapping is None or _unmap(mapping) else _MAPPED) + answer


def unpack_answer(packed: bytes | bytearray) -> Answer:
    """What `run_packed` said."""
    return Answer(pickle.loads(memoryview(packed)[1:]), unmapped=packed[:1] == _UNMAPPED)


def _run(
    call: Callable[..., Any], args: tuple[Any, ...], payload: bytes | mmap.mmap | None
) -> bytes:
    given = () if payload is None else (memoryview(payload),)
    try:
        return _pack(Outcome("done", call(*given, *args)))
    except BaseException as error:
        return _pack(failed(error))


def _pack(outcome: Outcome[Any]) -> bytes:
    return pickle.dumps(outcome, protocol=5)


def _unmap(mapping: mmap.mmap) -> bool:
    """Let go of a mapping; False where the call left something behind that still views it."""
    try:
        mapping.close()
    except BufferError:
        return False
    return True
