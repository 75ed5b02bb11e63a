"""The doctor: what is wrong is said with what to do, and nothing is left behind."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from analyzer_service.doctor import installation, surroundings
from analyzer_service.doctor.examining import examine
from analyzer_service.doctor.findings import Finding
from shared.transport.keys import make_keys

ROOT = Path(__file__).parents[3]


def test_a_machine_that_runs_the_tests_is_examined_without_a_trace(tmp_path: Path) -> None:
    findings = examine(tmp_path / "new" / "runs", None)
    by_name = {finding.what: finding for finding in findings}
    assert {"Python", "[core]", "[analyzer]", "disk", "GPU", "W&B"} <= set(by_name)
    assert by_name["[analyzer]"].level == "ok"
    assert os.listdir(tmp_path) == []


def test_an_old_python_is_a_problem() -> None:
    assert installation.check_python((3, 10, 4)).level == "problem"
    assert installation.check_python((3, 11, 0)).level == "ok"


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "scipy":
            raise PackageNotFoundError(name)
        return {"jinja2": "1.0", "apprise": "0.1"}.get(name, "9999")

    monkeypatch.setattr(installation, "version", version)
    monkeypatch.setattr(installation, "check_loading", lambda _: {})
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


def test_a_library_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: no such\\nfile')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    failed = installation.check_loading({"opencv-python-headless", "rich"})
    assert failed == {"opencv-python-headless": "cv2: ImportError: libGL.so.1: no such file"}
    (tmp_path / "cv2.py").write_text("import os; os.kill(os.getpid(), 11)")
    failed = installation.check_loading({"opencv-python-headless"})
    assert failed == {"opencv-python-headless": "cv2: it ends Python (exit code -11)"}


@pytest.mark.parametrize(("command", "code"), [("doctor", 1), ("serve", 2)])
def test_a_broken_installation_says_what_to_do(tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "analyzer_service", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
    )
    assert done.returncode == code
    assert done.stderr.startswith("error: the installation is broken: ImportError: libGL.so.1\n")
    assert "Traceback" not in done.stderr
    if command == "doctor":
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
        assert "[analyzer]" in line
        assert "cannot be loaded (cv2: ImportError: libGL.so.1)" in line
    else:
        assert "python -m analyzer_service doctor says what to do" in done.stderr


def test_a_trainers_keys_are_no_problem(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    (tmp_path / "keys" / "server.key_secret").unlink()
    found = surroundings.check_keys(tmp_path / "keys")
    assert (found.level, found.words) == ("ok", f"a trainer's, in {tmp_path / 'keys'}")


def test_a_disk_that_serve_would_not_be_ready_on_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100 << 20)
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _: usage)
    found = surroundings.check_disk(tmp_path)
    assert found.level == "problem"
    assert "--least-free" in found.words
    assert found.remedy


def test_what_is_wrong_is_said_with_what_to_do_in_lines_of_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "check_loading", lambda _: {"scipy": "scipy: no library"})
    for finding in examine(tmp_path, tmp_path / "none", ["SIDELIGHT_SERVE_BNID names no flag"]):
        assert finding.level != "problem" or finding.remedy, finding
        lines = finding.lines(80)
        assert all(len(line) <= 80 or len(line.split()) <= 4 for line in lines), lines
        assert " ".join(" ".join(lines).split()) == " ".join(" ".join(finding.lines()).split())
