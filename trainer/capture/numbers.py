"""Scalars that live on a device until the sender thread may read them."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor

from trainer.capture.slots import Slot, SlotPool
from trainer.capture.values import Scalar

SLOT_BYTES: Final = 4096

Send = Callable[[list[Tensor], int], Slot | None]


class DeviceNumbers:
    """Numbers of one step: plain ones, readings, and one copy of all device tensors.

    Parameters
    ----------
    scalars : mapping of name to number
        Tensors hold one element.
    send : callable
        ``send(tensors, nbytes)`` queues a copy into a slot of its pool, and never waits.
    pool : SlotPool
        Gets the slot back after reading.
    """

    def __init__(self, scalars: Mapping[str, Scalar], send: Send, pool: SlotPool) -> None:
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
        self._slot = self._queue([tensors[name] for name in self._names], send)

    def ready(self) -> bool:
        """Whether `read` may be called."""
        slot = self._slot
        copied = slot is None or slot.event is None or slot.event.query()
        return copied and all(reading.ready() for reading in self._readings.values())

    def read(self) -> dict[str, float]:
        """All numbers; gives the slot back, so it is called once."""
        numbers: dict[str, float] = {**self._plain, **self._host}
        numbers |= {name: reading.value() for name, reading in self._readings.items()}
        slot, self._slot = self._slot, None
        if slot is not None:
            values = slot.buffer[: 8 * len(self._names)].view(torch.float64).tolist()
            numbers |= dict(zip(self._names, values, strict=True))
            self._pool.release(slot)
        return numbers

    def _queue(self, tensors: list[Tensor], send: Send) -> Slot | None:
        if not tensors:
            return None
        stacked = torch.stack([t.detach().reshape(()).to(torch.float64) for t in tensors])
        return send([stacked], max(SLOT_BYTES, stacked.nbytes))
