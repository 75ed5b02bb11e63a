"""Equal data gives equal bytes, in any process and whatever the user's settings are."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib

from analyzer_service.figures.dashboard import render_dashboard
from tests.analyzer_service.figures.hard_cases import CASES

ROOT = Path(__file__).parents[3]
NAMES = ("outlined", "huge", "constant_gate")
PROGRAM = f"""
import hashlib, sys
from analyzer_service.figures.dashboard import render_dashboard
from tests.analyzer_service.figures.hard_cases import CASES
for name in reversed({NAMES!r}):
    print(name, hashlib.sha256(render_dashboard(CASES[name]())).hexdigest())
assert "matplotlib.pyplot" not in sys.modules
"""
ODD_SETTINGS = """
font.size: 31
font.family: serif
text.color: red
text.usetex: True
text.hinting: force_autohint
axes.grid: True
axes.autolimit_mode: round_numbers
agg.path.chunksize: 101
axes.facecolor: black
lines.linestyle: --
lines.antialiased: False
figure.facecolor: blue
figure.dpi: 33
image.origin: lower
path.simplify: False
path.snap: False
patch.force_edgecolor: True
"""


def hashes() -> dict[str, str]:
    return {name: hashlib.sha256(render_dashboard(CASES[name]())).hexdigest() for name in NAMES}


def test_another_process_with_other_settings_draws_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(ODD_SETTINGS)
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "7", "TZ": "UTC-9"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert dict(line.split() for line in done.stdout.splitlines()) == hashes()


def test_drawing_leaves_the_users_settings_alone() -> None:
    with matplotlib.rc_context({"font.size": 27.0, "lines.linewidth": 9.0}):
        render_dashboard(CASES["first_batch"]())
        assert matplotlib.rcParams["font.size"] == 27.0
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_the_png_tells_nothing_about_time_or_software() -> None:
    png = render_dashboard(CASES["dropped"]())
    assert png.startswith(b"\x89PNG")
    assert all(chunk not in png for chunk in (b"tIME", b"tEXt", b"iTXt", b"zTXt"))
