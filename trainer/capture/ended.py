"""A step that is over, as Lightning tells of it."""

from typing import Any, NamedTuple

from shared.messages import Phase


class EndedStep(NamedTuple):
    """One step that ran.

    Attributes
    ----------
    returned : Any
        What the step returned, with tensors as they are.
    loss_scale : float
        Factor that undoes Lightning's division of the loss by ``accumulate_grad_batches``.
    loader_idx : int
        Which validation loader the batch came from.
    """

    phase: Phase
    epoch: int
    batch_idx: int
    batch: Any
    returned: Any
    loss_scale: float = 1.0
    loader_idx: int = 0
