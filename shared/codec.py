"""Messages to bytes and back: one msgpack header, then the raw buffers of the arrays.

`decode` trusts nothing: whatever the bytes are, it returns a message or raises
`ContractError`. Nothing is ever unpickled or evaluated.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from shared.errors import ContractError
from shared.header import (
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_MESSAGE_BYTES,
    ArrayEntry,
    Buffer,
    Header,
    pack_header,
    unpack_front,
    unpack_header,
)
from shared.messages import (
    BatchFrame,
    BatchMetrics,
    DropNotice,
    EpochEnded,
    Message,
    RunEnded,
    RunStarted,
)

__all__ = [
    "MAX_ARRAYS",
    "MAX_DIMENSIONS",
    "MAX_HEADER_BYTES",
    "MAX_MESSAGE_BYTES",
    "Buffer",
    "decode",
    "decode_payload",
    "encode",
    "join",
    "size_of",
    "split",
]

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
        If no reader would take the message: it is beyond a size limit, or its configuration
        holds something else than texts, numbers, lists and maps.
    """
    if not isinstance(message, BatchFrame):
        return [pack_header(message.model_dump(), [])]
    arrays = _arrays_of(message)
    size = sum(array.nbytes for _, array in arrays)
    if len(arrays) > MAX_ARRAYS or size > MAX_MESSAGE_BYTES - MAX_HEADER_BYTES:
        raise ContractError(
            f"message of {len(arrays)} arrays and {size} bytes; readers take at most "
            f"{MAX_ARRAYS} arrays and {MAX_MESSAGE_BYTES - MAX_HEADER_BYTES} bytes"
        )
    body = message.model_dump(exclude={*_IMAGES, *_MAPS})
    return [pack_header(body, arrays), *(_view(array) for _, array in arrays)]


def decode(parts: Sequence[Buffer]) -> Message:
    """Message of a wire form; its arrays are read-only, and views of `parts` where aligned.

    Raises
    ------
    ContractError
        Whatever is wrong with the bytes.
    """
    if not parts:
        raise ContractError("no header: expected at least one part")
    if len(parts) > MAX_ARRAYS + 1:
        raise ContractError(f"{len(parts) - 1} arrays, at most {MAX_ARRAYS} are read")
    _check_size(size_of(parts))
    return _build(unpack_header(parts[0]), parts[1:])


def join(parts: Sequence[Buffer]) -> bytes:
    """One payload of a message's parts, as recordings hold it."""
    return b"".join(parts)


def size_of(parts: Sequence[Buffer]) -> int:
    """Bytes that `join` makes of `parts`."""
    return sum(memoryview(part).nbytes for part in parts)


def split(payload: Buffer) -> list[memoryview]:
    """Parts of a payload made by `join`, not copied.

    Raises
    ------
    ContractError
        If the payload does not hold exactly the arrays that its header announces.
    """
    header, nbytes = unpack_front(payload)
    return _cut(payload, header, nbytes)


def decode_payload(payload: Buffer) -> Message:
    """Message of a payload made by `join`; raises `ContractError` on anything else."""
    header, nbytes = unpack_front(payload)
    return _build(header, _cut(payload, header, nbytes)[1:])


def _cut(payload: Buffer, header: Header, header_bytes: int) -> list[memoryview]:
    view = memoryview(payload).cast("B")
    _check_size(len(view))
    offset = header_bytes
    parts = [view[:offset]]
    for entry in header.arrays:
        parts.append(view[offset : offset + entry.nbytes])
        offset += entry.nbytes
    if offset != len(view):
        raise ContractError(f"payload of {len(view)} bytes, its header announces {offset}")
    return parts


def _check_size(nbytes: int) -> None:
    if nbytes > MAX_MESSAGE_BYTES:
        raise ContractError(f"message of {nbytes} bytes, at most {MAX_MESSAGE_BYTES} are read")


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


def _build(header: Header, buffers: Sequence[Buffer]) -> Message:
    kind = header.body.get("type")
    cls = _TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ContractError(f"unknown message type {kind!r:.80}")
    arrays = _read_arrays(header.arrays, buffers)
    if arrays and cls is not BatchFrame and not header.newer:
        raise ContractError(f"{kind} carries no arrays, {len(arrays)} came")
    fields = header.body
    if cls is BatchFrame:
        fields = fields | _group_arrays(arrays, skip_unknown=header.newer)
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or kind
        raise ContractError(f"{kind}: {where:.80}: {first['msg']:.300}") from None
    except (RecursionError, TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"{kind}: {error}") from error


def _read_arrays(index: Sequence[ArrayEntry], buffers: Sequence[Buffer]) -> dict[str, NDArray[Any]]:
    if len(index) != len(buffers):
        raise ContractError(f"{len(index)} arrays announced, {len(buffers)} came")
    arrays: dict[str, NDArray[Any]] = {}
    for entry, buffer in zip(index, buffers, strict=True):
        if entry.name in arrays:
            raise ContractError(f"array {entry.name!r:.80} came twice")
        arrays[entry.name] = _read_array(entry, buffer)
    return arrays


def _read_array(entry: ArrayEntry, buffer: Buffer) -> NDArray[Any]:
    view = memoryview(buffer)
    if view.nbytes != entry.nbytes:
        raise ContractError(
            f"array {entry.name!r:.80}: {entry.nbytes} bytes announced, {view.nbytes} came"
        )
    try:
        array = np.frombuffer(view, dtype=entry.dtype).reshape(entry.shape)
    except ValueError as error:
        raise ContractError(f"array {entry.name!r:.80}: {error}") from error
    # NumPy adds up an unaligned array in another order: a replay would differ from its run.
    if not array.flags.aligned:
        array = array.copy()
    array.flags.writeable = False
    return array


def _group_arrays(arrays: dict[str, NDArray[Any]], *, skip_unknown: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {group: {} for group in _MAPS}
    for name, array in arrays.items():
        group, _, layer = name.partition("/")
        if name in _IMAGES:
            fields[name] = array
        elif group in _MAPS and layer:
            fields[group][layer] = array
        elif not skip_unknown:
            raise ContractError(f"unknown array {name!r:.80}")
    return fields
