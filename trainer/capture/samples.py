"""Which tiles a batch holds: from the batch itself, or by stable names."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from shared.messages import Sample
from trainer.capture.ended import EndedStep

SampleNames = Callable[[int], tuple[Sample, ...]]

_FIELDS = ("samples", "id", "source", "slide", "row", "col", "mpp")


def name_samples(ended: EndedStep, *, rank: int = 0) -> SampleNames:
    """Return a function that names the first n samples of a step's batch.

    A batch that is a mapping may say where its tiles come from: by ``samples``, a sequence of
    `shared.messages.Sample`, or by a list (or a CPU tensor) a field: ``id`` and, where known,
    ``source``, ``slide``, ``row``, ``col`` and ``mpp``. Otherwise the samples get names that
    are the same in every epoch as long as the loader's order is: ``val/3/1`` is sample 1 of
    validation batch 3. Training loaders shuffle, so their names carry the epoch:
    ``train/0/3/1``.

    Only the fields are kept, not the batch: its tensors stay free to go.
    """
    prefix = _prefix(ended, rank)
    fields = _fields_of(ended.batch)
    given = fields.pop("samples", ())
    if given and all(isinstance(sample, Sample) for sample in given):
        return lambda n: tuple(given[:n])
    if "id" not in fields:
        return lambda n: tuple(Sample(id=f"{prefix}/{i}") for i in range(n))
    return lambda n: _described(fields, n)


def _prefix(ended: EndedStep, rank: int) -> str:
    loader = f"{ended.phase}{ended.loader_idx}" if ended.loader_idx else ended.phase
    epoch = [str(ended.epoch)] if ended.phase == "train" else []
    parts = [loader, *epoch, str(ended.batch_idx)]
    return "/".join([f"rank{rank}", *parts] if rank else parts)


def _fields_of(batch: Any) -> dict[str, Any]:
    if not isinstance(batch, Mapping):
        return {}
    return {name: batch[name] for name in _FIELDS if name in batch and _is_readable(batch[name])}


def _is_readable(values: Any) -> bool:
    # Reading numbers that were moved to a device would make the training thread wait.
    if isinstance(values, Tensor):
        return values.device.type == "cpu"
    return isinstance(values, (list, tuple))


def _described(fields: Mapping[str, Any], n: int) -> tuple[Sample, ...]:
    columns = {name: _column(values, n) for name, values in fields.items()}
    return tuple(Sample(**{name: column[i] for name, column in columns.items()}) for i in range(n))


def _column(values: Any, n: int) -> list[Any]:
    return values[:n].tolist() if isinstance(values, Tensor) else list(values[:n])
