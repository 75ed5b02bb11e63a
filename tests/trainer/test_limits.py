"""Limits: refused in one line where they cannot hold, and passed on in bytes where they can."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigurationError
from trainer import AnalysisEnabledMainModel, Limits, SidecarCallback
from trainer.capture.settings import CaptureSettings
from trainer.publish import PublishSettings
from trainer.settings import read_settings

MIB = 1 << 20


@pytest.mark.parametrize("value", [0, -1, 1.5, True, 1 << 21])
def test_what_is_no_number_of_mebibytes_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="queue_mib must be a whole number from 1"):
        Limits(queue_mib=value)


def test_a_bound_below_a_single_frame_is_refused() -> None:
    # 4 tiles and 4 reconstructions of 512 x 512 pixels, 3 bytes each: exactly 6 MiB.
    # Pinned memory comes in powers of two.
    Limits(capture_mib=6, pinned_mib=8, queue_mib=6).check_frame(4, 512)
    for name, least in (("capture_mib", 6), ("pinned_mib", 8), ("queue_mib", 6)):
        said = rf"{name} {least - 1} is too small .* take {least}\.0 MiB"
        with pytest.raises(ConfigurationError, match=said):
            Limits(**{name: least - 1}).check_frame(4, 512)


def test_a_callback_that_knows_its_tiles_refuses_at_once() -> None:
    options: dict[str, Any] = {"limits": Limits(queue_mib=1), "frame_samples": 4}
    with pytest.raises(ConfigurationError, match="too small for a single frame"):
        SidecarCallback({"gate": "gate"}, tile_size=512, **options)
    SidecarCallback({"gate": "gate"}, tile_size=512, sidecar="off", **options)
    SidecarCallback({"gate": "gate"}, **options)  # nobody knows yet


def test_settings_are_the_limits_in_bytes() -> None:
    limits = Limits(capture_mib=1, pinned_mib=2, queue_mib=3, unacked_mib=4, journal_mib=5)
    settings = PublishSettings.within(limits, journal_dir=Path("x"))
    found = (
        settings.capture_bytes,
        CaptureSettings.within(limits).pinned_bytes,
        settings.queue_bytes,
        settings.unacked_bytes,
        settings.journal_bytes,
    )
    assert found == tuple(number * MIB for number in (1, 2, 3, 4, 5))
    assert settings.journal_dir == Path("x")


def test_defaults_are_the_same_everywhere() -> None:
    assert PublishSettings() == PublishSettings.within(Limits())
    assert CaptureSettings() == CaptureSettings.within(Limits())
    assert read_settings().limits == Limits()


def test_flags_become_limits() -> None:
    settings = read_settings(queue_mib=8, journal_mib=32)
    assert settings.limits == Limits(queue_mib=8, journal_mib=32)


def test_the_module_hands_them_to_its_callback_and_keeps_them_out_of_checkpoints() -> None:
    module = AnalysisEnabledMainModel(model="small", limits=Limits(queue_mib=8))
    [callback] = module.configure_callbacks()
    assert isinstance(callback, SidecarCallback)
    assert callback.options.limits == Limits(queue_mib=8)
    assert "limits" not in module.hparams
