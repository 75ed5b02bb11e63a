"""`AnalysisEnabledMainModel` in a real, short fit, without a sidecar unless it is looked at."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

import trainer
from shared.errors import ConfigurationError
from trainer import AnalysisEnabledMainModel, SidecarCallback
from trainer.model import DAEKAN
from trainer.module import clean_tiles

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec.*is deprecated",
    "ignore:.*but have no `val_dataloader`",
    "ignore:.*Consider setting a lower value for log_every_n_steps",
)


def make_model(**options):
    torch.manual_seed(0)
    return AnalysisEnabledMainModel(2, 5, **({"model": "small", "sidecar": "off"} | options))


def make_trainer(*callbacks, **options):
    defaults = {"max_steps": 2, "limit_val_batches": 1, "num_sanity_val_steps": 0}
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **(defaults | options),
    )


def images(count=4):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


LOADERS = {
    "tensors": lambda: DataLoader(list(images()), batch_size=2),
    "pairs": lambda: DataLoader(TensorDataset(images(), torch.arange(4)), batch_size=2),
    "mappings": lambda: DataLoader(
        [{"image": x, "id": str(i)} for i, x in enumerate(images())], batch_size=2
    ),
}


class Keeper(pl.Callback):
    """Keeps what the steps returned."""

    def __init__(self):
        self.outputs = {"train": [], "val": []}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.outputs["train"].append(outputs)

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ):
        self.outputs["val"].append(outputs)


@pytest.mark.parametrize("kind", LOADERS)
def test_trains_on_any_loader_and_shows_clean_and_restored_tiles(kind):
    keeper = Keeper()
    run = make_trainer(keeper, max_epochs=1, max_steps=-1)
    run.fit(make_model(), LOADERS[kind](), LOADERS[kind]())
    for phase in ("train", "val"):
        outputs = keeper.outputs[phase][0]
        assert set(outputs) == {"loss", "mse", "input", "reconstruction"}
        torch.testing.assert_close(outputs["input"], images()[:2])
        expected = (outputs["reconstruction"] - outputs["input"]).square().mean()
        torch.testing.assert_close(outputs["mse"], expected)
        torch.testing.assert_close(outputs["loss"], expected)
        assert not outputs["reconstruction"].requires_grad
    assert set(run.callback_metrics) == {"train/loss", "val/loss", "val/ssim"}


def test_one_forward_pass_a_step():
    model, calls = make_model(), []
    model.model.register_forward_hook(lambda *_: calls.append(1))
    make_trainer(max_steps=2, limit_val_batches=0).fit(model, LOADERS["tensors"]())
    assert len(calls) == 2


def test_noise_hangs_on_seed_epoch_and_batch_only():
    model = make_model(seed=4)
    train = [torch.randn(3, generator=model._noise_source(i, "train")) for i in (0, 1, 0)]
    assert torch.equal(train[0], train[2])
    assert not torch.equal(train[0], train[1])
    other = torch.randn(3, generator=make_model(seed=5)._noise_source(0, "train"))
    assert not torch.equal(train[0], other)


def test_validation_sees_the_same_noise_in_each_epoch():
    keeper = Keeper()
    model = make_model(learning_rate=0.0, weight_decay=0.0)
    seen = []
    model.model.register_forward_pre_hook(lambda _m, args: seen.append(args[0].detach().clone()))
    make_trainer(keeper, max_steps=-1, max_epochs=2, limit_train_batches=1).fit(
        model, LOADERS["tensors"](), LOADERS["tensors"]()
    )
    train, val = seen[0::2], seen[1::2]
    assert torch.equal(val[0], val[1])
    assert not torch.equal(train[0], train[1])
    assert (val[0] - images()[:2]).std() == pytest.approx(0.05, rel=0.05)


def test_it_learns_a_tile_by_heart():
    tile = torch.nn.functional.interpolate(images(1)[..., :4, :4], size=32, mode="bilinear")
    keeper = Keeper()
    loader = DataLoader([tile[0]] * 120, batch_size=2)
    make_trainer(keeper, max_steps=60).fit(make_model(noise_std=0.02), loader)
    losses = [float(outputs["loss"]) for outputs in keeper.outputs["train"]]
    assert losses[-1] < 0.1 * losses[0]


def test_learning_rate_rises_then_falls():
    rates = []

    class Rates(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    loader = DataLoader(list(images(40)), batch_size=2)
    make_trainer(Rates(), max_steps=40, max_epochs=2).fit(make_model(), loader)
    peak = rates.index(max(rates))
    assert 0 < peak < 5
    assert max(rates) == pytest.approx(4e-3, rel=0.02)
    assert rates[-1] < 0.03 * max(rates)


def test_brings_its_own_sidecar(tmp_path):
    model = make_model(
        sidecar="tcp://127.0.0.1:1", run_name="drop_in", output_dir=tmp_path, frame_samples=2
    )
    [sidecar] = model.configure_callbacks()
    assert isinstance(sidecar, SidecarCallback)
    assert sidecar.options.analysis_freq == 5
    assert sidecar.options.frame_samples == 2
    assert sidecar.options.run_name == "drop_in"
    for path in (*sidecar.options.attention.values(), *sidecar.options.activation.values()):
        assert model.get_submodule(path) is not None
    assert list(sidecar.options.attention) == ["bam_48", "bam_2"]


def test_leaves_a_given_sidecar_alone(tmp_path):
    given = SidecarCallback({"gate": "model.bottleneck.attn1"}, sidecar="off")
    run = make_trainer(given)
    run.fit(make_model(sidecar="local"), LOADERS["tensors"]())
    assert [c for c in run.callbacks if isinstance(c, SidecarCallback)] == [given]


def test_off_brings_nothing_and_recording_alone_does(tmp_path):
    assert make_model().configure_callbacks() == []
    assert len(make_model(record=tmp_path / "run.mcap").configure_callbacks()) == 1


def test_a_checkpoint_brings_back_the_same_model(tmp_path):
    model = make_model(run_name="kept", output_dir=tmp_path)
    run = make_trainer(max_steps=1)
    run.fit(model, LOADERS["tensors"]())
    run.save_checkpoint(tmp_path / "a.ckpt")
    loaded = AnalysisEnabledMainModel.load_from_checkpoint(tmp_path / "a.ckpt").eval()
    assert loaded.model.size == "small"
    torch.testing.assert_close(loaded(images())[1], model.eval()(images())[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [1, 3])
def test_clean_tiles_are_float_rgb(dtype, channels):
    pixels = torch.arange(2 * channels * 64).remainder(256).view(2, channels, 8, 8)
    batch = pixels.byte() if dtype == torch.uint8 else (pixels / 255).to(dtype)
    clean = clean_tiles(batch)
    assert clean.dtype == torch.float32
    assert clean.shape == (2, 3, 8, 8)
    torch.testing.assert_close(clean[:, 2], pixels[:, -1] / 255, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "batch", [{}, {"x": 1}, [], "text", torch.rand(3, 8, 8), torch.rand(1, 2, 8, 8)]
)
def test_batches_of_another_form_are_named(batch):
    with pytest.raises(ConfigurationError, match="a batch must be images"):
        clean_tiles(batch)


def test_model_sizes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert make_model(model="auto").model.size == "small"
    with pytest.raises(ConfigurationError, match="must be auto, full or small"):
        make_model(model="huge")


def test_the_package_offers_its_three_names():
    assert set(trainer.__all__) <= set(dir(trainer))
    assert trainer.Publisher.__name__ == "Publisher"
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = trainer.no_such_thing
    assert isinstance(make_model().model, DAEKAN)
