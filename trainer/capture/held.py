"""A tensor held by reference, with the version by which a later write is noticed."""

import torch
from torch import Tensor

# A batch that is a slice of something larger than this many times itself is copied: holding
# it would keep all of that alive, beyond what the byte budget may count.
_LARGEST_SHARE = 2


class Held:
    """A detached tensor and its version counter at the time of holding.

    Attributes
    ----------
    tensor : Tensor
        The original if it needs no gradient; else it shares memory with it, unless it was copied.
    address : int
        Where its storage begins: the same for tensors that share one.
    nbytes : int
        Bytes that the reference keeps alive.
    """

    __slots__ = ("_version", "address", "nbytes", "tensor")

    def __init__(self, tensor: Tensor, storage: torch.UntypedStorage) -> None:
        self.tensor = tensor
        self.address = storage.data_ptr()
        self.nbytes = storage.nbytes()
        self._version = tensor._version

    @property
    def changed(self) -> bool:
        """Whether an in-place operation has written to the tensor since, or moved it.

        Writes that PyTorch does not count (through ``.data``, or a NumPy array that shares
        the memory) are not seen. An operation counts as it ends: look again a little later
        (`trainer.capture.cpu.SETTLE_S`) to notice one that was under way.
        """
        tensor = self.tensor
        return (
            tensor._version != self._version or tensor.untyped_storage().data_ptr() != self.address
        )


def hold(tensor: Tensor, *, first: int, copy: bool = False) -> Held:
    """Hold `tensor` by reference, or a copy of its `first` samples where that is needed.

    Copied are tensors made in inference mode, which have no version counter, slices of
    something much larger, and whatever `copy` asks for. The copy stays on the tensor's
    device and waits for nothing.
    """
    # Detaching lets go of the interpreter's lock, which the sender thread may be waiting for.
    detached = tensor.detach() if tensor.requires_grad else tensor
    storage = detached.untyped_storage()
    if copy or detached.is_inference() or storage.nbytes() > _LARGEST_SHARE * detached.nbytes:
        detached = _copy(detached[:first])
        storage = detached.untyped_storage()
    return Held(detached, storage)


def _copy(tensor: Tensor) -> Tensor:
    # Cloning within inference mode would give an inference tensor again.
    with torch.inference_mode(False), torch.no_grad():
        return tensor.clone()
