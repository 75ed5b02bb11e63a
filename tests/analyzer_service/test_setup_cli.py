"""The commands about an installation: what they print and write."""

import sys
from pathlib import Path

import pytest

from analyzer_service import cli
from analyzer_service.alerts.settings import DEFAULT
from analyzer_service.settings import read_alerts
from tests.analyzer_service.in_process import run_in_process


def test_alerts_prints_a_file_that_serve_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "alerts"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    path = tmp_path / "alerts.toml"
    path.write_text(capsys.readouterr().out.replace("ssim_min = 0.8", "ssim_min = 0.9"), "utf-8")
    assert read_alerts(path).ranges.ssim_min == 0.9
    assert read_alerts(None) == DEFAULT


def test_keys_says_what_goes_where_and_never_writes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "keys", str(folder)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    for part in (f"serve --bind tcp://HOST:PORT --keys {folder}", "copy server.key and client"):
        assert part in said
    secrets = [file.read_text().rpartition('"')[0] for file in folder.glob("*.key_secret")]
    assert len(secrets) == 2
    assert not any(secret.rpartition('"')[2] in said for secret in secrets)
    before = (folder / "server.key_secret").read_bytes()
    code, error = run_in_process(monkeypatch, capsys, "keys", str(folder))
    assert (code, (folder / "server.key_secret").read_bytes()) == (2, before)
    assert "is not empty, and nothing is written over" in error
