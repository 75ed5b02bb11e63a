import torch

from shared.messages import Sample
from trainer.capture.ended import EndedStep
from trainer.capture.samples import name_samples


def step(batch: object, **changes: object) -> EndedStep:
    return EndedStep("val", 2, 3, batch, None)._replace(**changes)


def test_samples_given_by_the_batch_are_taken_as_they_are() -> None:
    samples = tuple(Sample(id=f"tile-{i}", row=i, col=0, source="a.svs") for i in range(5))
    batch = {"image": torch.rand(5, 3, 8, 8), "samples": samples}
    assert name_samples(step(batch))(4) == samples[:4]


def test_samples_described_by_columns() -> None:
    batch = {"id": ["a", "b", "c"], "row": torch.tensor([1, 2, 3]), "mpp": [0.5, None, 0.25]}
    assert name_samples(step(batch))(2) == (
        Sample(id="a", row=1, mpp=0.5),
        Sample(id="b", row=2, mpp=None),
    )


def test_other_batches_get_names_that_are_stable_over_epochs() -> None:
    first = name_samples(step(torch.rand(2, 3, 8, 8)))(2)
    assert [sample.id for sample in first] == ["val/3/0", "val/3/1"]
    assert name_samples(step(None, epoch=9))(2) == first


def test_names_tell_loaders_ranks_and_shuffled_epochs_apart() -> None:
    def name(rank: int = 0, **changes: object) -> str:
        return name_samples(step(None, **changes), rank=rank)(1)[0].id

    assert name(phase="train") == "train/2/3/0"
    assert name(loader_idx=1) == "val1/3/0"
    assert name(rank=1) == "rank1/val/3/0"


def test_fields_on_a_device_are_not_read() -> None:
    batch = {"id": ["a"], "row": torch.zeros(1, device="meta")}
    assert name_samples(step(batch))(1) == (Sample(id="a"),)


def test_only_the_fields_are_kept_alive() -> None:
    import weakref

    image = torch.rand(2, 3, 8, 8)
    gone = weakref.ref(image)
    names = name_samples(step({"image": image, "id": ["a", "b"]}))
    del image
    assert gone() is None
    assert [sample.id for sample in names(2)] == ["a", "b"]
