"""Tensors held by reference, with the version by which a later write is noticed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.publish.contract import CaptureLost

# A batch that is a slice of something larger than this many times itself is copied: holding
# it would keep all of that alive, beyond what the byte budget may count.
_LARGEST_SHARE = 2

Kept = tuple[Tensor, int]
"""A detached tensor and its version counter as it was kept (a plain tuple: hooks make many)."""

Placed = tuple[Tensor, int, int]
"""A kept tensor that was measured: the tensor, its version, and where its storage begins."""


class Held(NamedTuple):
    """A kept tensor with names, for where time is less short."""

    tensor: Tensor
    version: int

    @property
    def changed(self) -> bool:
        """Whether an in-place operation has written to the tensor since it was kept.

        Writes that PyTorch does not count (through ``.data``, or a NumPy array that shares the
        memory) are not seen. An operation counts as it ends: look again a little later
        (`trainer.capture.cpu.SETTLE_S`) to notice one that was under way.
        """
        return self.tensor._version != self.version


def hold(tensor: Tensor, *, first: int, copy: bool = False) -> Held:
    """The same as `keep`, with names."""
    return Held(*keep(tensor, first=first, copy=copy))


def keep(tensor: Tensor, *, first: int, copy: bool = False) -> Kept:
    """Keep `tensor` by reference, or a copy of its `first` samples where that is needed.

    Copied are tensors made in inference mode, which have no version counter, and whatever
    `copy` asks for. The copy stays on the tensor's device and waits for nothing.
    """
    if tensor.requires_grad:
        tensor = tensor.detach()
    if copy or tensor.is_inference():
        tensor = _copy(tensor[:first])
    return tensor, tensor._version


def any_changed(parts: Iterable[Placed | None]) -> bool:
    """Whether any tensor was written to, as in `Held.changed`, or has got other memory."""
    return any(
        tensor._version != version or tensor.untyped_storage().data_ptr() != address
        for tensor, version, address in filter(None, parts)
    )


def is_part_of_large(tensor: Tensor) -> bool:
    """Whether a reference keeps much more alive than `tensor` itself."""
    return tensor.untyped_storage().nbytes() > _LARGEST_SHARE * tensor.nbytes


def without_large(parts: Iterable[Kept | None], *, first: int) -> list[Kept | None]:
    """The same with the `first` samples of what is part of something large, copied.

    Raises
    ------
    CaptureLost
        If a tensor that must be copied was written to since it was kept: a copy would hide it.
    """
    return [
        kept if kept is None or not is_part_of_large(kept[0]) else _copy_unchanged(kept, first)
        for kept in parts
    ]


def measure(parts: Sequence[Kept | None]) -> tuple[list[Placed | None], int]:
    """Note where kept tensors lie, and how many bytes the references keep alive.

    Storages that two tensors share are counted once.

    Raises
    ------
    CaptureLost
        If the memory of a tensor was freed.
    """
    placed: list[Placed | None] = []
    alive: dict[int, int] = {}
    for kept in parts:
        if kept is None:
            placed.append(None)
            continue
        tensor, version = kept
        storage = tensor.untyped_storage()
        address, nbytes = storage.data_ptr(), storage.nbytes()
        if _extent(tensor) > nbytes:  # reading it would crash
            raise CaptureLost("changed_in_place")
        alive[address] = nbytes
        placed.append((tensor, version, address))
    return placed, max(1, sum(alive.values()))


def _extent(tensor: Tensor) -> int:
    """Bytes from the beginning of the storage to the end of the last element."""
    if not tensor.numel():
        return 0
    sizes_and_strides = zip(tensor.shape, tensor.stride(), strict=True)
    last = tensor.storage_offset() + sum((n - 1) * stride for n, stride in sizes_and_strides)
    return int((last + 1) * tensor.element_size())


def _copy_unchanged(kept: Kept, first: int) -> Kept:
    if Held(*kept).changed:
        raise CaptureLost("changed_in_place")
    return keep(kept[0], first=first, copy=True)


def _copy(tensor: Tensor) -> Tensor:
    # Cloning within inference mode would give an inference tensor again.
    with torch.inference_mode(False), torch.no_grad():
        return tensor.clone()
