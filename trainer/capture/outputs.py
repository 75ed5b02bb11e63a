"""What a step gave back: input, reconstruction and scalars, from any LightningModule."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytorch_lightning as pl
from torch import Tensor, nn

from trainer.capture.values import Scalar

EXPOSED = "sidelight_outputs"


class StepOutputs(NamedTuple):
    """Tensors of one step; what the step did not give is None or absent."""

    input: Tensor | None
    reconstruction: Tensor | None
    scalars: dict[str, Scalar]


def read_outputs(module: nn.Module, returned: Any, *, loss_scale: float = 1.0) -> StepOutputs:
    """Read a step's outputs from what it returned, or from ``module.sidelight_outputs``.

    Parameters
    ----------
    module : nn.Module
        Its attribute ``sidelight_outputs`` (a mapping) comes before what the step returned.
        It is taken: set to None, so that no step is shown with another one's values.
    returned : mapping, Tensor or None
        A mapping with ``input``, ``reconstruction``, ``loss`` and ``mse``, or the loss.
    loss_scale : float
        Factor of a returned loss: Lightning divides it by ``accumulate_grad_batches``.
    """
    values = _as_mapping(returned)
    loss = _scaled(as_scalar(values.get("loss")), loss_scale)
    # Not getattr: a missing attribute of a module costs more than all the rest.
    exposed = module.__dict__.get(EXPOSED)
    if isinstance(exposed, Mapping):
        setattr(module, EXPOSED, None)
        values = {**values, **exposed}
        loss = as_scalar(exposed["loss"]) if "loss" in exposed else loss
    scalars: dict[str, Scalar] = {} if loss is None else {"loss": loss}
    mse = as_scalar(values.get("mse"))
    if mse is not None:
        scalars["mse"] = mse
    images = _as_tensor(values.get("input")), _as_tensor(values.get("reconstruction"))
    return StepOutputs(*images, scalars)


def as_scalar(value: Any) -> Scalar | None:
    """A number or a detached tensor of one element; None for anything else."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.detach() if value.requires_grad else value
    return None


def learning_rate(trainer: pl.Trainer) -> dict[str, Scalar]:
    """The first optimizer's learning rate, as it is now."""
    if not trainer.optimizers:
        return {}
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return {"learning_rate": rate.clone() if isinstance(rate, Tensor) else float(rate)}


def _as_mapping(returned: Any) -> Mapping[str, Any]:
    if isinstance(returned, Mapping):
        return returned
    return {"loss": returned} if isinstance(returned, Tensor) else {}


def _as_tensor(value: Any) -> Tensor | None:
    return value if isinstance(value, Tensor) else None


def _scaled(loss: Scalar | None, scale: float) -> Scalar | None:
    if scale == 1.0 or not isinstance(loss, (float, Tensor)):
        return loss
    return loss * scale
