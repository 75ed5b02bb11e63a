"""The settings file: its defaults, and what a user may get wrong."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from analyzer_service.alerts.settings import DEFAULT, AlertSettings, default_file, load_settings
from analyzer_service.alerts.titles import TITLES
from analyzer_service.figures import ranges
from shared.errors import ConfigurationError


def keys_of(model: BaseModel) -> dict[str, object]:
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {
        name: keys_of(value) if isinstance(value, BaseModel) else None
        for name, value in values.items()
    }


def load(tmp_path: Path, text: str) -> AlertSettings:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    return load_settings(path, TITLES)


def test_the_default_file_is_the_default_and_names_every_setting(tmp_path: Path) -> None:
    assert load(tmp_path, default_file()) == DEFAULT
    found = tomllib.loads(default_file())
    named = {
        name: dict.fromkeys(part) if isinstance(part, dict) else None
        for name, part in found.items()
    }
    assert named == keys_of(DEFAULT)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert load(tmp_path, "") == DEFAULT


def test_the_defaults_are_the_guides_ranges() -> None:
    guide = DEFAULT.ranges
    for good, mine in (
        (ranges.ENTROPY, guide.entropy),
        (ranges.CONCENTRATION, guide.concentration),
        (ranges.SPARSITY, guide.sparsity),
        (ranges.CENTER_DISTANCE, guide.center_distance),
        (ranges.PEAKS, guide.peaks),
    ):
        assert (good.low, good.high) == mine
    assert ranges.SSIM.low == guide.ssim_min
    assert ranges.INFERENCE_TIME.high == guide.inference_max_ms
    assert ranges.CONTRAST_FLOOR.low == guide.contrast_min


def test_what_is_given_changes_and_the_rest_stays(tmp_path: Path) -> None:
    settings = load(tmp_path, "[ranges]\nssim_min = 0.9\nentropy = [1, 3.5]\n")
    assert settings.ranges.ssim_min == 0.9
    assert settings.ranges.entropy == (1.0, 3.5)
    assert settings.loss == DEFAULT.loss


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[loss]\nwindo = 3", "loss.windo is no setting"),
        ("[los]\nwindow = 30", "los is no setting"),
        ("[loss]\nwindow = 1", "loss.window: input should be greater than or equal to 4, got 1"),
        ("[ranges]\nentropy = [4, 2]", "give [low, high] with low < high, got [4, 2]"),
        ("[ranges]\nssim_min = nan", "ranges.ssim_min"),
        ("[ranges]\nentropy = 3", "ranges.entropy: input should be a valid tuple, got 3"),
        ("[loss]\nrise = 'much'", "loss.rise"),
        ("off = ['los_rise']", "off names los_rise, which is no alert; there are"),
        ("[loss", "is no TOML"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "alerts.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.toml", TITLES)


def test_where_alerts_are_sent_does_not_change_which_there_are() -> None:
    sent = AlertSettings.model_validate({"notify": {"urls": ["json://localhost"]}})
    assert sent.judged() == DEFAULT.judged()
    assert "localhost" not in sent.judged()
