"""Scalars that live on a device until the sender thread may read them."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor

from trainer.capture.device_events import is_done
from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import Scalar
from trainer.publish.contract import ValuesLost

NUMBER_SLOT_BYTES: Final = 512
_BYTES_EACH: Final = 8

Copy = Callable[[Slot, list[Tensor]], None]


class DeviceNumbers:
    """Numbers of one step: plain ones, readings, and one copy of all device tensors.

    Parameters
    ----------
    scalars : mapping of name to number
        Tensors hold one element.
    device : torch.device
        Where they are gathered.
    pool : SlotPool
        Gives a slot for the copy, and gets it back after reading.
    """

    def __init__(self, scalars: Mapping[str, Scalar], device: torch.device, pool: SlotPool) -> None:
        self._plain = {
            name: scalar for name, scalar in scalars.items() if isinstance(scalar, (int, float))
        }
        self._readings = {
            name: scalar
            for name, scalar in scalars.items()
            if not isinstance(scalar, (int, float, Tensor))
        }
        tensors = {name: scalar for name, scalar in scalars.items() if isinstance(scalar, Tensor)}
        self._host = {name: float(t) for name, t in tensors.items() if t.device.type == "cpu"}
        self._names = [name for name in tensors if name not in self._host]
        self._pool = pool
        self._slot: Slot | None = None
        self._gathered = _gather([tensors[name] for name in self._names], device)

    def send(self, copy: Copy) -> None:
        """Queue the copy; the pool has no slot only when the sender is very far behind."""
        gathered, self._gathered = self._gathered, None
        if gathered is not None:
            slot = self._pool.acquire(max(NUMBER_SLOT_BYTES, gathered.nbytes))
            if slot is not None:
                self._slot = slot
                copy(slot, [gathered])

    def ready(self) -> bool:
        """Whether `read` may be called."""
        slot = self._slot
        copied = slot is None or slot.event is None or is_done(slot.event)
        return copied and all(reading.ready() for reading in self._readings.values())

    def read(self) -> dict[str, float]:
        """All numbers; gives the slot back, so it is called once.

        Raises
        ------
        ValuesLost
            If there was no slot for the copy.
        """
        numbers: dict[str, float] = {**self._plain, **self._host}
        numbers |= {name: reading.value() for name, reading in self._readings.items()}
        slot, self._slot = self._slot, None
        if slot is not None:
            count = len(self._names)
            values = slot.buffer[: _BYTES_EACH * count].view(torch.float64).tolist()
            self._pool.release(slot)
            return numbers | dict(zip(self._names, values, strict=True))
        if self._names:
            raise ValuesLost(numbers)
        return numbers

    def __del__(self) -> None:
        # Nobody took the step over: its slot is used again, once the copy is done.
        if getattr(self, "_slot", None) is not None:
            self._pool.release(self._slot)  # type: ignore[arg-type]


def _gather(scalars: list[Tensor], device: torch.device) -> Tensor | None:
    """One float64 tensor of all of them; two kernels where they have one dtype and device."""
    if not scalars:
        return None
    flat = [scalar.detach().reshape(()) for scalar in scalars]
    alike = len({(scalar.dtype, scalar.device) for scalar in flat}) == 1
    if not alike:
        flat = [scalar.to(device, torch.float64, non_blocking=True) for scalar in flat]
    return torch.stack(flat).to(device, torch.float64, non_blocking=True)
