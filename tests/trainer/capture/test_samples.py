import weakref
from typing import Any

import torch

from shared.messages import Sample
from trainer.capture.samples import fields_of, name_samples
from trainer.publish import BatchKeys


def named(
    batch: object, count: int, *, loader_idx: int = 0, rank: int = 0, **changes: Any
) -> tuple[Sample, ...]:
    """What the sender thread calls the first `count` samples of a batch."""
    place: dict[str, Any] = {"phase": "val", "epoch": 2, "batch_idx": 3, **changes}
    keys = BatchKeys(**place, global_step=1, phase_step=1, rank=rank)
    return name_samples(keys, loader_idx, fields_of(batch), count)


def test_samples_given_by_the_batch_are_taken_as_they_are() -> None:
    samples = tuple(Sample(id=f"tile-{i}", row=i, col=0, source="a.svs") for i in range(5))
    batch = {"image": torch.rand(5, 3, 8, 8), "samples": samples}
    assert named(batch, 4) == samples[:4]


def test_samples_described_by_columns() -> None:
    batch = {"id": ["a", "b", "c"], "row": torch.tensor([1, 2, 3]), "mpp": [0.5, None, 0.25]}
    assert named(batch, 2) == (
        Sample(id="a", row=1, mpp=0.5),
        Sample(id="b", row=2, mpp=None),
    )


def test_file_names_that_are_not_utf_8_cost_no_frame() -> None:
    batch = {"id": ["bl\udce4u.png:0:0"], "source": ["bl\udce4u.png"]}
    assert named(batch, 1) == (Sample(id="bl\\udce4u.png:0:0", source="bl\\udce4u.png"),)


def test_other_batches_get_names_that_are_stable_over_epochs() -> None:
    first = named(torch.rand(2, 3, 8, 8), 2)
    assert [sample.id for sample in first] == ["val/3/0", "val/3/1"]
    assert named(None, 2, epoch=9) == first


def test_names_tell_loaders_ranks_and_shuffled_epochs_apart() -> None:
    def name(**changes: Any) -> str:
        return named(None, 1, **changes)[0].id

    assert name(phase="train") == "train/2/3/0"
    assert name(loader_idx=1) == "val1/3/0"
    assert name(rank=1) == "rank1/val/3/0"


def test_fields_on_a_device_are_not_read() -> None:
    batch = {"id": ["a"], "row": torch.zeros(1, device="meta")}
    assert named(batch, 1) == (Sample(id="a"),)


def test_only_the_fields_are_kept_alive() -> None:
    image = torch.rand(2, 3, 8, 8)
    gone = weakref.ref(image)
    fields = fields_of({"image": image, "id": ["a", "b"]})
    del image
    assert gone() is None
    assert fields == {"id": ["a", "b"]}
