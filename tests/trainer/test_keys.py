"""`--keys`: on its way to the sockets, and nowhere else."""

from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.transport.keys import make_keys
from tests.builders import make_run_started
from trainer import AnalysisEnabledMainModel
from trainer.capture.callback import SidecarCallback
from trainer.publish import Publisher
from trainer.publish.target import Target
from trainer.settings import read_settings

ENDPOINT = "tcp://127.0.0.1:5999"


def test_the_flag_reaches_the_callback(tmp_path: Path) -> None:
    settings = read_settings(sidecar=ENDPOINT, keys=tmp_path)
    model = AnalysisEnabledMainModel(sidecar=settings.sidecar, keys=settings.keys)
    (callback,) = model.configure_callbacks()
    assert isinstance(callback, SidecarCallback)
    assert callback.options.keys == tmp_path


def test_a_checkpoint_does_not_say_where_the_keys_are(tmp_path: Path) -> None:
    model = AnalysisEnabledMainModel(sidecar=ENDPOINT, keys=tmp_path)
    assert "keys" not in model.hparams
    assert model.hparams["sidecar"] == ENDPOINT


@pytest.mark.parametrize("sidecar", ["local", "off"])
def test_keys_without_an_address_are_refused(tmp_path: Path, sidecar: str) -> None:
    with pytest.raises(ConfigurationError, match="keys are for a sidecar at tcp"):
        SidecarCallback({}, sidecar=sidecar, keys=tmp_path)


def test_wrong_keys_are_said_before_anything_is_written(tmp_path: Path) -> None:
    record = tmp_path / "run.mcap"
    with pytest.raises(ConfigurationError, match=r"server\.key is not there"):
        Publisher.start(make_run_started(), endpoint=ENDPOINT, record=record, keys=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_of_silence_fits_what_was_asked_for(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    assert Target(ENDPOINT, own=True).unanswered is None
    plain = str(Target(ENDPOINT).unanswered)
    assert f"nobody answers at {ENDPOINT}" in plain
    assert "the trainer needs --keys, too" in plain
    keyed = str(Target(ENDPOINT, tmp_path / "keys").unanswered)
    assert f"server.key must be the one in {tmp_path / 'keys'}" in keyed
