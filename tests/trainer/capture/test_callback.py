"""Whole fits of a small LightningModule, with a publisher that remembers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from shared.errors import ConfigurationError
from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    as_uint8,
    loader,
    make_trainer,
    read_frame,
    sidecar,
    tiles,
)
from trainer.capture.callback import SidecarCallback

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"
)

Publishers = list[RememberingPublisher]


def fit(folder: Path, model: pl.LightningModule, *callbacks: pl.Callback, **options: Any) -> None:
    torch.manual_seed(3)
    make_trainer(folder, *callbacks, **options).fit(model, loader(), loader(8))


def test_every_batch_is_published_once_and_sanity_batches_never(
    tmp_path: Path, publishers: Publishers
) -> None:
    fit(tmp_path, Autoencoder(), sidecar(), max_epochs=2, num_sanity_val_steps=2)
    # (phase, global_step, phase_step): three training batches, then two of validation, twice.
    assert publishers[0].events == [
        *[("train", 1, 1), ("train", 2, 2), ("train", 3, 3), ("val", 3, 1), ("val", 3, 2)],
        ("epoch_ended", 0, 3),
        *[("train", 4, 4), ("train", 5, 5), ("train", 6, 6), ("val", 6, 3), ("val", 6, 4)],
        ("epoch_ended", 1, 6),
    ]
    assert publishers[0].closed == [("finished", None)]


def test_keys_and_run_say_what_the_fit_is(tmp_path: Path, publishers: Publishers) -> None:
    callback = sidecar(run_name="one", analysis_freq=7, stain="ihc", mpp=0.5)
    fit(tmp_path, Autoencoder(), callback)
    run = publishers[0].run
    assert (run.run_name, run.analysis_freq, run.stain, run.mpp) == ("one", 7, "ihc", 0.5)
    assert [(layer.name, layer.kind) for layer in run.layers] == [("bam_6", "attention")]
    assert (run.primary_layer, run.max_epochs, run.total_steps) == ("bam_6", 1, 3)
    assert (run.incarnation, run.resumed_from_step, run.device) == (1, None, "cpu")
    keys = [keys for keys, _ in publishers[0].of_phase("train")]
    assert [(k.epoch, k.batch_idx, k.batch_size, k.rank) for k in keys] == [
        (0, 0, 4, 0),
        (0, 1, 4, 0),
        (0, 2, 4, 0),
    ]


def test_frames_show_what_the_step_saw(tmp_path: Path, publishers: Publishers) -> None:
    model = Autoencoder()
    fit(tmp_path, model, sidecar(frame_samples=2), num_sanity_val_steps=0)
    assert len(publishers[0].batches) == len(model.seen) == 5
    for (_, capture), seen in zip(publishers[0].batches, model.seen, strict=True):
        frame = read_frame(capture)
        np.testing.assert_array_equal(frame.input, as_uint8(seen["input"][:2]))
        np.testing.assert_array_equal(frame.reconstruction, as_uint8(seen["output"][:2]))
        assert frame.attention["bam_6"].shape == (2, 8, 8)


def test_validation_samples_have_stable_names(tmp_path: Path, publishers: Publishers) -> None:
    fit(tmp_path, Autoencoder(), sidecar(frame_samples=2), max_epochs=2)
    names = [
        [sample.id for sample in read_frame(capture).samples]
        for _, capture in publishers[0].of_phase("val")
    ]
    assert names == 2 * [["val/0/0", "val/0/1"], ["val/1/0", "val/1/1"]]


def test_scalars_are_those_of_the_step(tmp_path: Path, publishers: Publishers) -> None:
    model = Autoencoder()
    fit(tmp_path, model, sidecar(), num_sanity_val_steps=0)
    for (keys, capture), seen in zip(publishers[0].batches, model.seen, strict=True):
        scalars = capture.scalars()
        expected = float(((seen["output"] - seen["input"]) ** 2).mean())
        assert scalars["loss"] == pytest.approx(expected, rel=1e-5)
        assert scalars["inference_time_ms"] > 0
        assert scalars["memory_mb"] > 10
        assert scalars["data_time_ms"] >= 0
        if keys.phase == "train":
            assert scalars["learning_rate"] == 0.1
            assert scalars["training_time_ms"] > scalars["inference_time_ms"]
        else:
            assert "training_time_ms" not in scalars


class LoggingAutoencoder(Autoencoder):
    """Adds scalars of its own."""

    def __init__(self, callback: SidecarCallback) -> None:
        super().__init__()
        self.callback = [callback]  # in a list: it is no submodule

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        self.callback[0].log_scalar("step_number", batch_idx)
        self.callback[0].log_scalar("loss", torch.tensor(9.0))
        self.callback[0].log_scalar("words", "not a number")
        return super().training_step(batch, batch_idx)


def test_scalars_of_the_users(tmp_path: Path, publishers: Publishers) -> None:
    callback = sidecar()
    fit(tmp_path, LoggingAutoencoder(callback), callback)
    scalars = [capture.scalars() for _, capture in publishers[0].batches]
    assert [row.get("step_number") for row in scalars] == [0, 1, 2, None, None]
    assert [row.get("user_loss") for row in scalars] == [9, 9, 9, None, None]
    assert all(row["loss"] < 1 and "words" not in row for row in scalars)


def test_training_is_bit_identical_with_and_without(tmp_path: Path, publishers: Publishers) -> None:
    torch.manual_seed(1)
    watched = Autoencoder()
    plain = Autoencoder()
    plain.load_state_dict(watched.state_dict())
    fit(tmp_path, watched, sidecar(), max_epochs=3)
    fit(tmp_path, plain, max_epochs=3)
    assert publishers[0].batches
    # BatchNorm's running statistics and counters are among the state.
    for name, value in plain.state_dict().items():
        assert torch.equal(watched.state_dict()[name], value), name
    assert watched.forward_calls == plain.forward_calls


def test_hooks_are_gone_after_the_fit(tmp_path: Path, publishers: Publishers) -> None:
    model = Autoencoder()
    fit(tmp_path, model, sidecar())
    assert publishers[0].closed
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_accumulated_gradients_count_batches_and_keep_the_loss(
    tmp_path: Path, publishers: Publishers
) -> None:
    model = Autoencoder()
    fit(tmp_path, model, sidecar(), accumulate_grad_batches=3, num_sanity_val_steps=0)
    train = publishers[0].of_phase("train")
    assert [keys.global_step for keys, _ in train] == [1, 2, 3]
    for (_, capture), seen in zip(train, model.seen, strict=False):
        expected = float(((seen["output"] - seen["input"]) ** 2).mean())
        assert capture.scalars()["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_resume_goes_on_counting(tmp_path: Path, publishers: Publishers) -> None:
    torch.manual_seed(3)
    first = sidecar(run_name="long")
    trainer = make_trainer(tmp_path, first, num_sanity_val_steps=0)
    trainer.fit(Autoencoder(), loader(), loader(8))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second = sidecar()
    trainer = make_trainer(tmp_path, second, max_epochs=2, num_sanity_val_steps=0)
    trainer.fit(
        Autoencoder(), loader(), loader(8), ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    before, after = (publisher.run for publisher in publishers)
    assert (after.run_id, after.run_name) == (before.run_id, "long")
    assert after.incarnation > before.incarnation
    assert after.resumed_from_step == 3
    assert publishers[1].events[:1] == [("train", 4, 4)]
    assert publishers[1].events[-3:] == [("val", 6, 3), ("val", 6, 4), ("epoch_ended", 1, 6)]


class FailingAutoencoder(Autoencoder):
    """Fails in its second batch."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        if batch_idx == 1:
            raise self.error
        return super().training_step(batch, batch_idx)


def test_an_error_in_training_ends_the_run_as_failed(
    tmp_path: Path, publishers: Publishers
) -> None:
    with pytest.raises(ValueError, match="no such tile"):
        fit(tmp_path, FailingAutoencoder(ValueError("no such tile")), sidecar())
    assert publishers[0].closed == [("failed", "ValueError: no such tile")]


def test_ctrl_c_ends_the_run_as_interrupted(tmp_path: Path, publishers: Publishers) -> None:
    with pytest.raises(SystemExit):
        fit(tmp_path, FailingAutoencoder(KeyboardInterrupt()), sidecar())
    assert [status for status, _ in publishers[0].closed] == ["interrupted"]


def test_a_capture_that_raises_does_not_stop_training(
    tmp_path: Path, publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, ended: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("trainer.capture.session.FitSession.step_ended", broken)
    model, callback = Autoencoder(), sidecar()
    fit(tmp_path, model, callback, num_sanity_val_steps=0)
    assert model.forward_calls == 5
    assert callback.failures == 5
    assert publishers[0].closed == [("finished", None)]


def test_an_unknown_layer_is_refused_with_near_names(
    tmp_path: Path, publishers: Publishers
) -> None:
    callback = SidecarCallback({"bam": "net.2.spatial_atention"})
    with pytest.raises(ConfigurationError, match=r"net\.2\.spatial_attention"):
        fit(tmp_path, Autoencoder(), callback)
    assert not publishers


class ExposingAutoencoder(Autoencoder):
    """Returns the loss only and exposes its images, gray ones, in training."""

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:  # type: ignore[override]
        loss = super().training_step(batch, batch_idx)["loss"]
        gray = batch.mean(dim=1, keepdim=True)
        self.sidelight_outputs = {"input": gray, "reconstruction": 2 - gray, "mse": 0.25}
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:  # type: ignore[override]
        super().validation_step(batch, batch_idx)


def test_a_module_may_expose_its_images_instead(tmp_path: Path, publishers: Publishers) -> None:
    model = ExposingAutoencoder()
    fit(tmp_path, model, sidecar(), num_sanity_val_steps=0)
    _, capture = publishers[0].of_phase("train")[0]
    frame = read_frame(capture)
    gray = model.seen[0]["input"].mean(dim=1, keepdim=True)
    np.testing.assert_array_equal(frame.input, as_uint8(gray.expand(-1, 3, -1, -1)))
    assert (frame.reconstruction == 255).all()  # 2 - gray lies above 1 and is clipped
    assert capture.scalars()["mse"] == 0.25
    # The values of a training step are not shown again as those of a validation step.
    assert [capture.nbytes for _, capture in publishers[0].of_phase("val")] == [0, 0]


class ReusingAutoencoder(Autoencoder):
    """Copies every batch into one buffer that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = tiles(4)

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        self.buffer.copy_(batch)
        return super().training_step(self.buffer, batch_idx)


def test_a_buffer_written_to_again_is_a_counted_loss_not_a_wrong_image(
    tmp_path: Path, publishers: Publishers
) -> None:
    from trainer.publish import CaptureLost

    model = ReusingAutoencoder()
    fit(tmp_path, model, sidecar(), limit_val_batches=0)
    captures = [capture for _, capture in publishers[0].of_phase("train")]
    for capture in captures[:2]:
        with pytest.raises(CaptureLost) as lost:
            read_frame(capture)
        assert lost.value.reason == "changed_in_place"
    last = read_frame(captures[2])
    np.testing.assert_array_equal(last.input, as_uint8(model.seen[2]["input"]))


def test_a_layer_overwritten_in_place_is_copied_from_the_second_batch_on(
    tmp_path: Path, publishers: Publishers
) -> None:
    class Scaling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2)

    model = Autoencoder()
    model.net[1] = nn.Sequential(nn.BatchNorm2d(6), Scaling())
    callback = SidecarCallback({}, {"norm": "net.1.0"})
    before: list[Tensor] = []
    model.net[1][0].register_forward_hook(
        lambda _module, _args, output: before.append(output.detach().clone())
    )
    fit(tmp_path, model, callback, num_sanity_val_steps=0)
    frames = [capture for _, capture in publishers[0].batches]
    for i in range(1, 5):
        expected = before[i].abs().mean(dim=1).numpy()
        np.testing.assert_allclose(read_frame(frames[i]).activation["norm"], expected, rtol=1e-6)
