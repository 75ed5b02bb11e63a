"""Messages to bytes and back: one msgpack header, then the raw buffers of the arrays.

`decode` trusts nothing: whatever the bytes are, it returns a message or raises
`ContractError`. Nothing is ever unpickled or evaluated.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from shared.errors import ContractError
from shared.messages import (
    SCHEMA_VERSION,
    BatchFrame,
    BatchMetrics,
    DropNotice,
    EpochEnded,
    Message,
    RunEnded,
    RunStarted,
)

MAX_HEADER_BYTES: Final = 1 << 20
MAX_ARRAYS: Final = 64
MAX_MESSAGE_BYTES: Final = 256 << 20
MAX_DIMENSIONS: Final = 4

Buffer = bytes | bytearray | memoryview

_DTYPES: Final[dict[str, np.dtype[Any]]] = {"|u1": np.dtype("|u1"), "<f4": np.dtype("<f4")}
_TYPES: Final[dict[str, type[Message]]] = {
    "run_started": RunStarted,
    "batch_metrics": BatchMetrics,
    "batch_frame": BatchFrame,
    "epoch_ended": EpochEnded,
    "drop_notice": DropNotice,
    "run_ended": RunEnded,
}
_IMAGES: Final = ("input", "reconstruction")
_MAPS: Final = ("attention", "activation")


def encode(message: Message) -> list[Buffer]:
    """Wire form of `message`: the header, then one buffer an array, not copied.

    The buffers view the message's arrays: they must not change until the parts are sent.

    Raises
    ------
    ContractError
        If the message is beyond a size limit that every reader holds.
    """
    body = message.model_dump(exclude={*_IMAGES, *_MAPS})
    arrays = _arrays_of(message) if isinstance(message, BatchFrame) else []
    index = [[name, array.dtype.str, list(array.shape), array.nbytes] for name, array in arrays]
    header: bytes = msgpack.packb({"v": list(SCHEMA_VERSION), "m": body, "a": index})
    parts: list[Buffer] = [header, *(_view(array) for _, array in arrays)]
    if len(header) > MAX_HEADER_BYTES:
        raise ContractError(f"header of {len(header)} bytes, at most {MAX_HEADER_BYTES} are read")
    if len(arrays) > MAX_ARRAYS or sum(map(len, parts)) > MAX_MESSAGE_BYTES:
        raise ContractError(
            f"message of {len(arrays)} arrays and {sum(map(len, parts))} bytes; readers take at "
            f"most {MAX_ARRAYS} arrays and {MAX_MESSAGE_BYTES} bytes"
        )
    return parts


def decode(parts: Sequence[Buffer]) -> Message:
    """Message of a wire form; its arrays are read-only views of `parts`.

    Raises
    ------
    ContractError
        Whatever is wrong with the bytes.
    """
    if not parts:
        raise ContractError("no header: expected at least one part")
    if len(parts) > MAX_ARRAYS + 1:
        raise ContractError(f"{len(parts) - 1} arrays, at most {MAX_ARRAYS} are read")
    size = sum(memoryview(part).nbytes for part in parts)
    if size > MAX_MESSAGE_BYTES:
        raise ContractError(f"message of {size} bytes, at most {MAX_MESSAGE_BYTES} are read")
    return _build(_unpack_header(parts[0]), parts[1:])


def join(parts: Sequence[Buffer]) -> bytes:
    """One payload of a message's parts, as recordings hold it."""
    return b"".join(parts)


def split(payload: Buffer) -> list[memoryview]:
    """Parts of a payload made by `join`, not copied.

    Raises
    ------
    ContractError
        If the payload does not hold exactly the arrays that its header announces.
    """
    view = memoryview(payload).cast("B")
    unpacker = msgpack.Unpacker(**_UNPACK_LIMITS, max_buffer_size=MAX_HEADER_BYTES)
    unpacker.feed(view[:MAX_HEADER_BYTES])
    try:
        header = unpacker.unpack()
    except Exception as error:
        raise ContractError(f"unreadable header: {type(error).__name__}") from error
    offset = unpacker.tell()
    parts = [view[:offset]]
    for _, _, _, nbytes in _array_index(_as_map(header)):
        parts.append(view[offset : offset + nbytes])
        offset += nbytes
    if offset != len(view):
        raise ContractError(f"payload of {len(view)} bytes, its header announces {offset}")
    return parts


def decode_payload(payload: Buffer) -> Message:
    """Message of a payload made by `join`; raises `ContractError` on anything else."""
    return decode(split(payload))


_UNPACK_LIMITS: Final[dict[str, Any]] = {
    "raw": False,
    "strict_map_key": True,
    "max_str_len": 1 << 16,
    "max_bin_len": 0,
    "max_ext_len": 0,
    "max_array_len": 1 << 16,
    "max_map_len": 1 << 14,
}


def _view(array: NDArray[Any]) -> memoryview:
    flat = np.ascontiguousarray(array).reshape(-1)
    return memoryview(flat.view(np.uint8).data) if flat.size else memoryview(b"")


def _arrays_of(frame: BatchFrame) -> list[tuple[str, NDArray[Any]]]:
    images = [(name, getattr(frame, name)) for name in _IMAGES]
    maps = [
        (f"{group}/{layer}", array)
        for group in _MAPS
        for layer, array in getattr(frame, group).items()
    ]
    return images + maps


def _unpack_header(part: Buffer) -> dict[str, Any]:
    if memoryview(part).nbytes > MAX_HEADER_BYTES:
        raise ContractError(f"header beyond {MAX_HEADER_BYTES} bytes")
    try:
        header = msgpack.unpackb(part, **_UNPACK_LIMITS)
    except Exception as error:
        raise ContractError(f"unreadable header: {type(error).__name__}") from error
    return _as_map(header)


def _as_map(header: Any) -> dict[str, Any]:
    if not isinstance(header, dict):
        raise ContractError(f"header must be a map, got {type(header).__name__}")
    _check_version(header.get("v"))
    return header


def _check_version(version: Any) -> None:
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


def _array_index(header: dict[str, Any]) -> list[tuple[str, str, tuple[int, ...], int]]:
    index = header.get("a")
    if not isinstance(index, list) or len(index) > MAX_ARRAYS:
        raise ContractError(f"array index must be a list of at most {MAX_ARRAYS} entries")
    return [_array_entry(entry) for entry in index]


def _array_entry(entry: Any) -> tuple[str, str, tuple[int, ...], int]:
    if not isinstance(entry, list) or len(entry) != 4:
        raise ContractError("array entry must be [name, dtype, shape, nbytes]")
    name, dtype, shape, nbytes = entry
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ContractError(f"array {name!r:.80} of dtype {dtype!r:.20}, expected {list(_DTYPES)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise ContractError(f"array {name!r:.80}: shape must be a list of at most 4 sizes")
    if not all(type(size) is int and 0 <= size <= MAX_MESSAGE_BYTES for size in shape):
        raise ContractError(f"array {name!r:.80}: impossible shape {shape!r:.80}")
    if type(nbytes) is not int or nbytes != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ContractError(f"array {name!r:.80}: {nbytes!r:.30} bytes do not fit {shape} {dtype}")
    if nbytes > MAX_MESSAGE_BYTES:
        raise ContractError(f"array {name!r:.80}: {nbytes} bytes are too many")
    return name, dtype, tuple(shape), nbytes


def _build(header: dict[str, Any], buffers: Sequence[Buffer]) -> Message:
    body = header.get("m")
    if not isinstance(body, dict):
        raise ContractError("message body must be a map")
    kind = body.get("type")
    cls = _TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ContractError(f"unknown message type {kind!r:.80}")
    arrays = _read_arrays(_array_index(header), buffers)
    fields = body | _group_arrays(arrays) if cls is BatchFrame else body
    if arrays and cls is not BatchFrame:
        raise ContractError(f"{kind} carries no arrays, {len(arrays)} came")
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or kind
        raise ContractError(f"{kind}: {where}: {first['msg']}") from None
    except (RecursionError, TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"{kind}: {error}") from error


def _read_arrays(
    index: list[tuple[str, str, tuple[int, ...], int]], buffers: Sequence[Buffer]
) -> dict[str, NDArray[Any]]:
    if len(index) != len(buffers):
        raise ContractError(f"{len(index)} arrays announced, {len(buffers)} came")
    arrays: dict[str, NDArray[Any]] = {}
    for (name, dtype, shape, nbytes), buffer in zip(index, buffers, strict=True):
        view = memoryview(buffer)
        if view.nbytes != nbytes:
            raise ContractError(f"array {name!r:.80}: {nbytes} bytes announced, {view.nbytes} came")
        if name in arrays:
            raise ContractError(f"array {name!r:.80} came twice")
        array = np.frombuffer(view, dtype=_DTYPES[dtype]).reshape(shape)
        array.flags.writeable = False
        arrays[name] = array
    return arrays


def _group_arrays(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {group: {} for group in _MAPS}
    for name, array in arrays.items():
        group, _, layer = name.partition("/")
        if name in _IMAGES:
            fields[name] = array
        elif group in _MAPS and layer:
            fields[group][layer] = array
        else:
            raise ContractError(f"unknown array {name!r:.80}")
    return fields
