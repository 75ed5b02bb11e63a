"""The code of docs/own-analyses.md, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.own.checking import check_analyzer
from analyzer_service.pipeline import Calls, PipelineSettings
from analyzer_service.workers import PoolWorkers
from shared.messages import BatchFrame
from tests.analyzer_service.pipeline.driving import make_said, rows_of, run_whole
from tests.builders import make_frame

pytestmark = pytest.mark.process

DOCS = Path(__file__).parents[3] / "docs" / "own-analyses.md"
MODULE, NOTEBOOK, _ON_THE_MODEL = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "my_module.py").write_text(MODULE)
    return tmp_path


def border_share(gates: Any) -> float:
    """By the words of the docs, cell by cell."""
    shares = []
    for gate in gates:
        rows, cols = gate.shape
        cells = [(r, c) for r in range(rows) for c in range(cols)]
        outer = [(r, c) for r, c in cells if r in (0, rows - 1) or c in (0, cols - 1)]
        mass = sum(float(gate[at]) for at in outer) / sum(float(gate[at]) for at in cells)
        shares.append(mass / (len(outer) / len(cells)))
    return sum(shares) / len(shares)


def test_beside_a_run(home: Path) -> None:
    own = check_analyzer("my_module:BorderAttention", str(home))
    settings = PipelineSettings(own=own, end_grace_s=0.0, calls=Calls())
    workers = PoolWorkers(2)
    try:
        folder = run_whole(home / "runs", workers, make_said(epochs=1), settings=settings)
    finally:
        workers.close()
    rows = rows_of(folder)
    assert len(rows) == 12
    for row in rows:
        if row["phase"] == "train":
            frame: BatchFrame = make_frame(row["phase_step"])
            for layer, gates in frame.attention.items():
                assert row[f"own_border_{layer}"] == pytest.approx(border_share(gates), rel=1e-6)
        known = row["own_border_while_ssim_low"]
        assert np.isnan(known) == (row["ssim"] >= 0.8)
    report = (folder / "final_summary_report.md").read_text("utf-8")
    assert "`own_border_bam_16`" in report
    assert "None of them failed." in report


def test_in_a_notebook(home: Path) -> None:
    path = os.pathsep.join([str(home), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK + "\nimport sys; print('torch' in sys.modules)"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers, torch = done.stdout.splitlines()
    assert torch == "False"
    rng = np.random.default_rng(0)
    tiles = rng.random((4, 3, 64, 64))
    rng.normal(0, 0.1, tiles.shape)
    expected = border_share(rng.random((4, 16, 16)))
    assert float(numbers.split()[1]) == pytest.approx(expected, rel=1e-6)
    found = json.loads((home / "notebook" / "final_training_metrics.json").read_text("utf-8"))
    assert found["summary"]["train"]["own_border_bam_384"]["n"] == 1
    assert (home / "notebook" / "train_batch_000001.png").is_file()


def test_even_gates_have_an_even_border(home: Path) -> None:
    space: dict[str, Any] = {}
    exec(MODULE, space)
    frame = make_frame(1, attention={"bam_384": np.full((2, 8, 8), 0.5, np.float32)})
    found = space["BorderAttention"]().custom_analysis({"ssim": 0.9}, frame)
    assert found["border_bam_384"] == pytest.approx(1.0, abs=1e-6)
    assert np.isnan(found["border_while_ssim_low"])
