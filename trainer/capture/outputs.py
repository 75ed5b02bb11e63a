"""What a step gave back: input, reconstruction and scalars, from any LightningModule."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from trainer.capture.values import Numbers, Scalar

EXPOSED = "sidelight_outputs"
_OWN_SCALARS = frozenset(
    [
        *("loss", "mse", "learning_rate", "memory_mb"),
        *("training_time_ms", "inference_time_ms", "data_time_ms"),
    ]
)

Given = tuple[Any, Any, Any, Any]
"""Input, reconstruction, loss and mse, whatever a step gave as such; None where it gave none."""


def read_outputs(attributes: dict[str, Any], returned: Any, loss_scale: float = 1.0) -> Given:
    """What a step returned, or showed by its module's attribute ``sidelight_outputs``.

    Parameters
    ----------
    attributes : dict
        The module's own (``vars``). ``sidelight_outputs`` (a mapping) comes before what the step
        returned. It is taken: set to None, so that no step is shown with another one's values.
    returned : mapping, Tensor or None
        A mapping with ``input``, ``reconstruction``, ``loss`` and ``mse``, or the loss.
    loss_scale : float
        Factor of a returned loss: Lightning divides it by ``accumulate_grad_batches``.
    """
    # A dict is asked for first: an abstract class takes ten times as long to answer.
    values = returned if isinstance(returned, dict) else _as_mapping(returned)
    loss = values.get("loss")
    if loss_scale != 1.0 and isinstance(loss, (float, Tensor)):
        loss = loss * loss_scale
    exposed = attributes.get(EXPOSED)
    if exposed is not None and isinstance(exposed, Mapping):
        attributes[EXPOSED] = None
        values = {**values, **exposed}
        loss = exposed.get("loss", loss)
    return values.get("input"), values.get("reconstruction"), loss, values.get("mse")


def as_scalar(value: Any) -> Scalar | None:
    """A number or a detached tensor of one element; None for anything else."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            return None
        return value.detach() if value.requires_grad else value
    return _as_float(value)


def as_number(value: Any) -> float | None:
    """A number, or that of a CPU tensor of one element, read here and now; None for anything else.

    Reading one number is a memory access: nothing waits. Unlike `item`, `tolist` keeps the
    interpreter's lock, which the sender thread may be waiting for.
    """
    if isinstance(value, Tensor):
        try:
            if value.numel() != 1:
                return None
            value = value.tolist()
            while value.__class__ is list:
                value = value[0]
        except Exception:  # it has no memory of its own: sparse, or on no device
            return None
    return value if value is None or value.__class__ is float else _as_float(value)


def name_scalars(numbers: Numbers, logged: Mapping[str, Any]) -> dict[str, Any]:
    """Scalars by name, without those that are None (any thread).

    A scalar of the user's whose name Sidelight itself uses gets the prefix ``user_``.
    """
    named = dict(zip(("loss", "mse", "learning_rate"), numbers, strict=True))
    for name, value in logged.items():
        named[f"user_{name}" if name in _OWN_SCALARS else name] = value
    return {name: value for name, value in named.items() if value is not None}


def _as_float(value: Any) -> float | None:
    """The value of a number of Python or NumPy (of an array of one element, too), else None."""
    if isinstance(value, (Real, np.bool_)) or (isinstance(value, np.ndarray) and value.size == 1):
        try:
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            return None
    return None


def _as_mapping(returned: Any) -> Mapping[str, Any]:
    if isinstance(returned, Mapping):
        return returned
    return {"loss": returned} if isinstance(returned, Tensor) else {}
