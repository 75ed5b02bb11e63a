"""What is no analyzer is said on one line, before anything is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer_service.own.checking import check_analyzer
from shared.errors import ConfigurationError
from tests.analyzer_service.own.sources import HEAD, checked, write_source

pytestmark = pytest.mark.process

BASE = "from analyzer_service import AutomaticAnalyzer as Base\n"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("mine", "", "give MODULE:CLASS"),
        ("mine.py:Mine", "", "there is no module mine.py in"),
        ("a/b:Mine", "", "give MODULE:CLASS"),
        ("other:Mine", "", "there is no module other in"),
        ("mine:Other", "", "there is no Other in"),
        ("mine:Mine", "def Mine(", "SyntaxError: "),
        ("mine:Mine", "import nothing_of_this_name", "ModuleNotFoundError: No module named"),
        ("mine:Mine", "\n1 / 0", "ZeroDivisionError: division by zero (mine.py, line 2)"),
        ("mine:Mine", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("mine:Mine", "import os; os._exit(3)", "worker process died with exit code 3"),
        ("mine:Mine", "while True: pass", "ran for more than 3"),
        ("mine:Mine", "class Mine: pass", "no subclass of analyzer_service.AutomaticAnalyzer"),
        ("mine:Mine", "Mine = 3", "no subclass of analyzer_service.AutomaticAnalyzer"),
        ("mine:Mine", BASE + "class Mine(Base): pass", "Mine does not override custom_analysis"),
        (
            "mine:Mine",
            BASE + "class Mine(Base):\n  def custom_analysis(self): return {}",
            "custom_analysis() cannot be called with batch_metrics",
        ),
        (
            "mine:Mine",
            BASE + "class Mine(Base):\n  async def custom_analysis(self, m): return {}",
            "custom_analysis is async",
        ),
        (
            "mine:Mine",
            BASE + "class Mine(Base):\n  def __init__(self, size): pass\n"
            "  def custom_analysis(self, m): return {}",
            "TypeError: Mine.__init__() missing 1 required positional argument: 'size'",
        ),
    ],
)
def test_what_is_no_analyzer_is_named(name: str, source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        check_analyzer(name, str(tmp_path), limit_s=3.0)
    assert message in str(caught.value)
    assert f"--analyzer {name}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_named_as_one_of_ours_hides_nothing(tmp_path: Path) -> None:
    """Neither is ours hidden by the user's, nor is the wrong one taken for the user's."""
    for name in ("queue", "shared"):
        write_source(tmp_path, name=name)
        with pytest.raises(ConfigurationError, match=f"the name {name} is taken"):
            check_analyzer(f"{name}:Mine", str(tmp_path))
    # A name that is installed, too, but that nobody needs here: the user's own is meant.
    assert checked(tmp_path, name="hypothesis").name == "hypothesis:Mine"


def test_packages_and_neighbors_are_found(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "beside.py").write_text("TWO = 2\n")
    body = "        import beside\n        return {'two': beside.TWO}\n"
    (tmp_path / "pack" / "mine.py").write_text("import beside\n" + HEAD + body)
    found = check_analyzer("pack.mine:Mine", str(tmp_path))
    assert found is not None
    assert (found.name, found.folder) == ("pack.mine:Mine", str(tmp_path))


def test_the_hash_is_of_the_file(tmp_path: Path) -> None:
    found = checked(tmp_path)
    said = subprocess.run(
        ["sha256sum", tmp_path / "mine.py"], capture_output=True, text=True, check=True
    )
    assert found.sha256 == said.stdout.split()[0]


def test_none_is_no_analyzer() -> None:
    assert check_analyzer(None) is None


@pytest.mark.parametrize("command", ["serve", "replay"])
@pytest.mark.parametrize("way", ["flag", "variable"])
def test_commands_end_with_one_line_and_write_nothing(
    command: str, way: str, tmp_path: Path
) -> None:
    (tmp_path / "run.mcap").write_bytes(b"")
    arguments = ["run.mcap"] if command == "replay" else []
    arguments += ["--output-dir", "runs", "--wandb", "disabled"]
    variables = dict(os.environ)
    if way == "flag":
        arguments += ["--analyzer", "nothing:Here"]
    else:
        variables["SIDELIGHT_ANALYZER"] = "nothing:Here"
    done = subprocess.run(
        [sys.executable, "-m", "analyzer_service", command, *arguments],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    said = json.loads(line)  # as the log is where stderr is no terminal
    assert said["level"] == "ERROR"
    assert said["message"] == f"--analyzer nothing:Here: there is no module nothing in {tmp_path}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.mcap"]
