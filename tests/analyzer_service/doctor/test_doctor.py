"""The doctor: what is wrong is said with what to do, and nothing is left behind."""

import os
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from analyzer_service.doctor import installation, surroundings
from analyzer_service.doctor.examining import examine
from analyzer_service.doctor.findings import Finding
from shared.transport.keys import make_keys


def test_a_machine_that_runs_the_tests_is_examined_without_a_trace(tmp_path: Path) -> None:
    findings = examine(tmp_path / "new" / "runs", None)
    by_name = {finding.what: finding for finding in findings}
    assert {"Python", "[core]", "[analyzer]", "disk", "GPU", "W&B"} <= set(by_name)
    assert by_name["[analyzer]"].level == "ok"
    assert not (tmp_path / "new" / "runs").exists()


def test_an_old_python_is_a_problem() -> None:
    assert installation.check_python((3, 10, 4)).level == "problem"
    assert installation.check_python((3, 11, 0)).level == "ok"


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "scipy":
            raise PackageNotFoundError(name)
        return {"jinja2": "1.0", "apprise": "0.1"}.get(name, "9999")

    monkeypatch.setattr(installation, "version", version)
    found = {finding.what: finding for finding in installation.check_packages()}
    analyzer = found["[analyzer]"]
    assert analyzer.level == "problem"
    assert "scipy is missing" in analyzer.words
    assert "jinja2 is 1.0, >=3.1 is needed" in analyzer.words
    assert analyzer.remedy == "pip install 'sidelight[analyzer]'"
    assert (found["[notify]"].level, found["[core]"].level) == ("note", "ok")


@pytest.fixture
def held() -> Iterator[int]:
    """Ten ports that are in use, from the one that is given."""
    for first in range(20000, 60000, 10):
        holders: list[socket.socket] = []
        try:
            holders += [socket.create_server(("127.0.0.1", first + i)) for i in range(10)]
        except OSError:
            for holder in holders:
                holder.close()
            continue
        yield first
        for holder in holders:
            holder.close()
        return


def test_ports_that_are_all_in_use_are_a_problem(held: int) -> None:
    *_, page = surroundings.check_ports(held)
    assert page.level == "problem"
    assert f"{held} to {held + 9} are all in use" in page.words


def test_keys_that_cannot_be_used_are_a_problem(tmp_path: Path) -> None:
    assert surroundings.check_keys(tmp_path).level == "problem"
    make_keys(tmp_path / "keys")
    assert surroundings.check_keys(tmp_path / "keys").words.startswith("1 authorized")
    (tmp_path / "keys" / "server.key_secret").chmod(0o644)
    assert surroundings.check_keys(tmp_path / "keys").level == "problem"


def test_a_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert surroundings.check_disk(tmp_path / "file").level == "problem"
    assert surroundings.check_disk(tmp_path).level in ("ok", "note")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("script", "level", "words"),
    [
        ("print('NVIDIA H100, 81559 MiB, 570.1')", "ok", "NVIDIA H100, 81559 MiB, 570.1"),
        ("import sys; sys.exit('Driver/library version mismatch')", "problem", "mismatch"),
    ],
)
def test_a_gpu_is_asked_of_its_driver(script: str, level: str, words: str) -> None:
    found = surroundings.check_gpu((sys.executable, "-c", script))
    assert found.level == level
    assert words in found.words
    assert surroundings.check_gpu(("no-such-program",)).words.startswith("none")


def test_wandb_that_cannot_log_in_is_a_problem(tmp_path: Path) -> None:
    online = {"WANDB_MODE": "online", "NETRC": os.devnull}
    assert surroundings.check_wandb(online, tmp_path).level == "problem"
    keyed = online | {"WANDB_API_KEY": "k"}
    assert surroundings.check_wandb(keyed, tmp_path) == Finding("ok", "W&B", "online")
