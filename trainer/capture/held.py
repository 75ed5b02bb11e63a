"""Tensors held by reference, with the version by which a later write is noticed."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from trainer.publish.contract import CaptureLost

# A batch that is a slice of something larger than this many times itself is copied: holding
# it would keep all of that alive, beyond what the byte budget may count.
_LARGEST_SHARE = 2

Kept = tuple[Tensor, int]
"""A detached tensor and its version counter as it was kept (plain: hooks make many)."""

Held = tuple[Tensor, int, int]
"""A kept tensor as the step ended: tensor, version, and where its storage begins."""


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


def is_changed(kept: Kept) -> bool:
    """Whether an in-place operation has written to a kept tensor since.

    Writes that PyTorch does not count (through ``.data``, or a NumPy array that shares the
    memory) are not seen. An operation counts as it ends: look again a little later
    (`trainer.capture.cpu.SETTLE_S`) to notice one that was under way.
    """
    return kept[0]._version != kept[1]


def any_changed(parts: Iterable[Held | None]) -> bool:
    """Whether any held tensor was written to, as in `is_changed`, or has got other memory."""
    return any(
        tensor._version != version or tensor.untyped_storage().data_ptr() != address
        for tensor, version, address in filter(None, parts)
    )


def has_memory(tensor: Tensor) -> bool:
    """Whether the storage still holds every element: reading a storage that was freed crashes."""
    if not tensor.numel():
        return True
    sizes_and_strides = zip(tensor.shape, tensor.stride(), strict=True)
    last = tensor.storage_offset() + sum((n - 1) * stride for n, stride in sizes_and_strides)
    return (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def hold(parts: Sequence[Kept | None], *, first: int) -> tuple[list[Held | None], int]:
    """Note where kept tensors lie, and how many bytes the references keep alive.

    The `first` samples of a slice of something much larger are copied. Storages that two
    tensors share are counted once.

    Raises
    ------
    CaptureLost
        If a tensor that must be copied was written to since it was kept.
    """
    held: list[Held | None] = []
    alive: dict[int, int] = {}
    for kept in parts:
        if kept is None:
            held.append(None)
            continue
        tensor, version = kept
        storage = tensor.untyped_storage()
        nbytes = storage.nbytes()
        if nbytes > _LARGEST_SHARE * tensor.nbytes:
            if is_changed(kept):  # a copy would hide it
                raise CaptureLost("changed_in_place")
            tensor, version = keep(tensor, first=first, copy=True)
            storage = tensor.untyped_storage()
            nbytes = storage.nbytes()
        address = storage.data_ptr()
        alive[address] = nbytes
        held.append((tensor, version, address))
    return held, max(1, sum(alive.values()))


def _copy(tensor: Tensor) -> Tensor:
    # Cloning within inference mode would give an inference tensor again.
    with torch.inference_mode(False), torch.no_grad():
        return tensor.clone()
