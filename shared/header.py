"""The msgpack header of a message: contract version, body, and an index of the arrays behind it.

Whatever the bytes are, reading gives a `Header` or raises `ContractError`, and no size that
they claim is allocated.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from shared.errors import ContractError
from shared.messages import SCHEMA_VERSION

MAX_HEADER_BYTES: Final = 1 << 20
MAX_ARRAYS: Final = 64
MAX_MESSAGE_BYTES: Final = 256 << 20
MAX_DIMENSIONS: Final = 4

Buffer = bytes | bytearray | memoryview

_DTYPES: Final[dict[str, np.dtype[Any]]] = {"|u1": np.dtype("|u1"), "<f4": np.dtype("<f4")}
_MAX_LIST: Final = 1 << 14
_LIMITS: Final[dict[str, Any]] = {
    "raw": False,
    "strict_map_key": True,
    "max_str_len": 1 << 16,
    "max_bin_len": 0,
    "max_ext_len": 0,
    "max_map_len": 1 << 14,
}
_FIRST_LOOK_BYTES: Final = 1 << 12


class ArrayEntry(NamedTuple):
    """One array that follows a header; ``nbytes == prod(shape) * dtype.itemsize``."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int


class Header(NamedTuple):
    """A header whose version can be read and whose index is consistent.

    `newer` tells that a newer minor version wrote it: what is unknown in it is left out.
    """

    body: dict[str, Any]
    arrays: tuple[ArrayEntry, ...]
    newer: bool = False


def pack_header(body: Mapping[str, Any], arrays: Sequence[tuple[str, NDArray[Any]]]) -> bytes:
    """Bytes of a header.

    Raises
    ------
    ContractError
        If no reader would take it: a value that is none of text, number, list or map, or
        something larger than the limits.
    """
    index = [[name, array.dtype.str, list(array.shape), array.nbytes] for name, array in arrays]
    try:
        packed: bytes = msgpack.packb({"v": list(SCHEMA_VERSION), "m": body, "a": index})
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"message cannot be encoded: {error}") from error
    if len(packed) > MAX_HEADER_BYTES:
        raise ContractError(f"header of {len(packed)} bytes, at most {MAX_HEADER_BYTES} are read")
    try:
        unpack_header(packed)
    except ContractError as error:
        raise ContractError(f"message cannot be encoded, no reader takes it: {error}") from error
    return packed


def unpack_header(part: Buffer) -> Header:
    """Header of exactly these bytes; raises `ContractError` on anything else."""
    nbytes = memoryview(part).nbytes
    if nbytes > MAX_HEADER_BYTES:
        raise ContractError(f"unreadable header: {nbytes} bytes, at most {MAX_HEADER_BYTES} are")
    try:
        fields = msgpack.unpackb(part, max_array_len=_longest_list(nbytes), **_LIMITS)
    except msgpack.ExtraData as error:
        header = nbytes - len(error.extra)
        raise ContractError(f"header of {header} bytes, {nbytes} came") from error
    except Exception as error:
        raise _unreadable(error) from error
    return _read_fields(fields)


def unpack_front(payload: Buffer) -> tuple[Header, int]:
    """Header that `payload` begins with, and its length; raises `ContractError`."""
    front = memoryview(payload).cast("B")[:MAX_HEADER_BYTES]
    unpacker = msgpack.Unpacker(
        max_array_len=_longest_list(len(front)),
        max_buffer_size=MAX_HEADER_BYTES,
        read_size=_FIRST_LOOK_BYTES,
        **_LIMITS,
    )
    try:
        # What is fed is copied, and most of it are arrays.
        unpacker.feed(front[:_FIRST_LOOK_BYTES])
        try:
            fields = unpacker.unpack()
        except msgpack.OutOfData:
            unpacker.feed(front[_FIRST_LOOK_BYTES:])
            fields = unpacker.unpack()
    except Exception as error:
        raise _unreadable(error) from error
    return _read_fields(fields), unpacker.tell()


def _longest_list(nbytes: int) -> int:
    """Each claimed element takes a byte at least; msgpack allocates a list before it is read."""
    return min(_MAX_LIST, nbytes)


def _unreadable(error: Exception) -> ContractError:
    return ContractError(f"unreadable header: {type(error).__name__}: {error}")


def _read_fields(fields: Any) -> Header:
    if not isinstance(fields, dict):
        raise ContractError(f"header must be a map, got {type(fields).__name__}")
    newer = _check_version(fields.get("v")) > SCHEMA_VERSION[1]
    body, index = fields.get("m"), fields.get("a")
    if not isinstance(body, dict):
        raise ContractError("message body must be a map")
    if not isinstance(index, list) or len(index) > MAX_ARRAYS:
        raise ContractError(f"array index must be a list of at most {MAX_ARRAYS} entries")
    return Header(body, tuple(_read_entry(entry) for entry in index), newer)


def _check_version(version: Any) -> int:
    """Minor version of a header that can be read."""
    if not (
        isinstance(version, list)
        and len(version) == 2
        and all(type(number) is int for number in version)
    ):
        raise ContractError(f"message version must be [major, minor], got {version!r:.80}")
    if version[0] != SCHEMA_VERSION[0]:
        ours = ".".join(map(str, SCHEMA_VERSION))
        raise ContractError(
            f"message version {version[0]}.{version[1]} cannot be read by version {ours}: "
            "install the same Sidelight on both sides"
        )
    return int(version[1])


def _read_entry(entry: Any) -> ArrayEntry:
    if not isinstance(entry, list) or len(entry) != 4:
        raise ContractError("array entry must be [name, dtype, shape, nbytes]")
    name, dtype, shape, nbytes = entry
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ContractError(f"array {name!r:.80} of dtype {dtype!r:.20}, expected {list(_DTYPES)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise ContractError(
            f"array {name!r:.80}: shape must be a list of at most {MAX_DIMENSIONS} sizes"
        )
    if not all(type(size) is int and 0 <= size <= MAX_MESSAGE_BYTES for size in shape):
        raise ContractError(f"array {name!r:.80}: impossible shape {shape!r:.80}")
    if type(nbytes) is not int or nbytes != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ContractError(f"array {name!r:.80}: {nbytes!r:.30} bytes do not fit {shape} {dtype}")
    if nbytes > MAX_MESSAGE_BYTES:
        raise ContractError(f"array {name!r:.80}: {nbytes} bytes are too many")
    return ArrayEntry(name, _DTYPES[dtype], tuple(shape), nbytes)
