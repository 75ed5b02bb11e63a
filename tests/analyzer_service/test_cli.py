"""The command line: what cannot be used is an error in one line."""

import socket
from pathlib import Path

import pytest

from analyzer_service.settings import check_bind, default_wandb_mode
from shared.errors import ConfigurationError
from tests.analyzer_service.in_process import run_in_process
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--bind", "5555"], "another form than tcp://HOST:PORT"),
        (["serve", "--bind", "tcp://0.0.0.0:5555"], "--allow-plaintext-network"),
        (["serve", "--bind", "ipc://{tmp}/no/where"], "its folder is not there"),
        (["serve", "--bind", "tcp://0.0.0.0:5555"], "analyzer_service keys DIR) and give --keys"),
        (["serve", "--bind", "tcp://0.0.0.0:5555", "--keys", "{tmp}"], "server.key_secret is not"),
        (["serve", "--keys", "{tmp}/none"], "make a folder of keys with python -m"),
        (["serve", "--max-trainers", "0"], "at least one must be heard"),
        (["serve", "--keep-dashboards", "0"], "give 1 (all of them) or more"),
        (["serve", "--frames-limit", "many"], "give a size such as 500MiB"),
        (["serve", "--record-limit", "1GiB"], "give --record as well"),
        (["serve", "--record", "--record-limit", "1MiB"], "at least 16 MiB are needed"),
        (["serve", "--workers", "0"], "at least one process"),
        (["serve", "--wandb", "maybe"], "choose one of online, offline, disabled"),
        (["serve", "--log-file", "{tmp}/no/log"], "cannot be written"),
        (["serve", "--metrics", "9464"], "--metrics 9464: give HOST:PORT, or off"),
        (["serve", "--metrics", "0.0.0.0:9464"], "--allow-plaintext-metrics"),
        (["serve", "--alerts", "{tmp}/none.toml"], "none.toml cannot be read: No such file"),
        (["replay", "{tmp}/photo.png", "--alerts", "{tmp}/photo.png"], "photo.png is no TOML"),
        (["replay", "{tmp}/none.mcap"], "none.mcap cannot be read: No such file"),
        (["replay", "{tmp}/photo.png"], "not an MCAP recording"),
        (["replay", "{tmp}/photo.png", "--speed", "fast"], "max, realtime, or a number above 0"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" + bytes(100))
    before = sorted(tmp_path.iterdir())
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    output = ["--output-dir", str(tmp_path / "out")]
    code, error = run_in_process(monkeypatch, capsys, *arguments, *output)
    assert code == 2
    assert said in error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in error
    assert len(line) < 400
    assert sorted(tmp_path.iterdir()) == before, "something was half-written"


def test_a_network_needs_keys_or_the_flag_that_says_what_it_does(tmp_path: Path) -> None:
    text = "tcp://0.0.0.0:5555"
    with pytest.raises(ConfigurationError, match="open to other machines"):
        check_bind(text, secured=False, allow_plaintext_network=False)
    for secured, plaintext in ((True, False), (False, True)):
        address = check_bind(text, secured=secured, allow_plaintext_network=plaintext)
        assert address.ctl == text
    local = check_bind("tcp://127.0.0.1:5555", secured=False, allow_plaintext_network=False)
    assert local.loopback


def test_a_port_in_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        bind = f"tcp://127.0.0.1:{port}"
        output = str(tmp_path / "out")
        code, error = run_in_process(
            monkeypatch, capsys, "serve", "--bind", bind, "--output-dir", output
        )
    assert code == 2
    assert f"cannot listen on {bind}: it is in use" in error
    assert list(tmp_path.iterdir()) == []


def test_a_metrics_port_in_use_is_named_if_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        metrics = f"127.0.0.1:{holder.getsockname()[1]}"
        output = ("--output-dir", str(tmp_path / "out"))
        bind = ("--bind", f"ipc://{tmp_path}/a")
        code, error = run_in_process(
            monkeypatch, capsys, "serve", *bind, "--metrics", metrics, *output
        )
    assert code == 2
    assert f"{metrics} cannot be listened on: it is in use; choose another with --metrics" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "replay"])
def test_an_output_folder_that_cannot_be_written_is_named(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("no folder")
    file = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    first = {"serve": ["--bind", f"ipc://{tmp_path}/a"], "replay": [str(file)]}[command]
    output = str(tmp_path / "file" / "out")
    code, error = run_in_process(monkeypatch, capsys, command, *first, "--output-dir", output)
    assert code == 2
    assert f"output folder {output} cannot be written" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mcap", "file"]


@pytest.mark.parametrize(
    ("environment", "netrc", "mode"),
    [
        ({}, None, "offline"),
        ({"WANDB_API_KEY": "k" * 40}, None, "online"),
        ({}, "machine api.wandb.ai login user password secret", "online"),
        ({}, "machine example.org login user password secret", "offline"),
        ({}, "not a netrc file", "offline"),
        (
            {"WANDB_BASE_URL": "https://example.org"},
            "machine example.org login u password s",
            "online",
        ),
        ({"WANDB_API_KEY": "k" * 40, "WANDB_MODE": "offline"}, None, "offline"),
        ({"WANDB_API_KEY": "k" * 40, "WANDB_MODE": "disabled"}, None, "disabled"),
    ],
)
def test_wandb_is_online_only_with_a_key(
    environment: dict[str, str], netrc: str | None, mode: str, tmp_path: Path
) -> None:
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    assert default_wandb_mode(environment, tmp_path) == mode
