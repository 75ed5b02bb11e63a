"""Which tiles a batch holds: from the batch itself, or by stable names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from shared.messages import Sample
from shared.texts import readable
from trainer.capture.values import Fields
from trainer.publish.contract import BatchKeys

_FIELDS = ("samples", "id", "source", "slide", "row", "col", "mpp")


def fields_of(batch: Any) -> Fields | None:
    """What a batch says of its samples, or None; the batch's images stay free to go."""
    # Most batches are no mapping, and an abstract class takes long to say so.
    if batch is None or isinstance(batch, (Tensor, list, tuple)) or not isinstance(batch, Mapping):
        return None
    try:
        given = {name: batch[name] for name in _FIELDS if name in batch}
        return {name: values for name, values in given.items() if _is_readable(values)}
    except Exception:  # a mapping of the user's, which may do anything
        return None


def name_samples(
    keys: BatchKeys, loader_idx: int, fields: Fields | None, count: int
) -> tuple[Sample, ...]:
    """Name the first `count` samples of a batch (sender thread).

    A batch that is a mapping may say where its tiles come from: by ``samples``, a sequence of
    `shared.messages.Sample`, or by a list (or a CPU tensor) a field: ``id`` and, where known,
    ``source``, ``slide``, ``row``, ``col`` and ``mpp``. Otherwise the samples get names that
    are the same in every epoch as long as the loader's order is: ``val/3/1`` is sample 1 of
    validation batch 3. Training loaders shuffle, so their names carry the epoch:
    ``train/0/3/1``.
    """
    given = dict(fields or {})
    samples = given.pop("samples", ())
    if len(samples) and all(isinstance(sample, Sample) for sample in samples):
        return tuple(samples[:count])
    if "id" not in given:
        prefix = _prefix(keys, loader_idx)
        return tuple(Sample(id=f"{prefix}/{i}") for i in range(count))
    columns = {name: _column(values, count) for name, values in given.items()}
    return tuple(
        Sample(**{name: column[i] for name, column in columns.items()}) for i in range(count)
    )


def _prefix(keys: BatchKeys, loader_idx: int) -> str:
    loader = f"{keys.phase}{loader_idx}" if loader_idx else keys.phase
    epoch = [str(keys.epoch)] if keys.phase == "train" else []
    parts = [loader, *epoch, str(keys.batch_idx)]
    return "/".join([f"rank{keys.rank}", *parts] if keys.rank else parts)


def _is_readable(values: Any) -> bool:
    # Reading numbers that were moved to a device would make the training thread wait.
    if isinstance(values, Tensor):
        return values.device.type == "cpu"
    return isinstance(values, (list, tuple))


def _column(values: Any, n: int) -> list[Any]:
    column = values[:n].tolist() if isinstance(values, Tensor) else list(values[:n])
    return [readable(value) if isinstance(value, str) else value for value in column]
