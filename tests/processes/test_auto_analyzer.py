"""``model.auto_analyzer`` of a real fit: the guide's calls, and an own analysis beside it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.analyzer_service.own.sources import write_source
from tests.processes.commands import TINY, environment, run

pytestmark = pytest.mark.process

SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from trainer import AnalysisEnabledMainModel
from mine import Mine

def loader():
    tiles = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    return DataLoader(list(tiles), batch_size=2)

model = AnalysisEnabledMainModel(
    2, analysis_frequency=2, model="small", run_name="guide", output_dir="runs", wandb="disabled"
)
model.auto_analyzer = Mine(model, device="cuda", save_dir="custom_analysis")
pl.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False,
           enable_progress_bar=False).fit(model, loader(), loader())
found = model.auto_analyzer
attention_patterns = found.get_batch_summary()
print(json.dumps({
    "summary": attention_patterns,
    "dashboard": str(found.create_batch_visualization(2)),
    "metrics": str(found.save_metrics()),
    "copy": str(found.save_metrics("copy.json")),
    "correlations": found.compute_pathology_correlations(),
    "batch": found.analyze_batch(batch_idx=1, input_tensor=None, output_tensor=None, loss=0.1),
    "analyzer_imported": any(name.startswith("analyzer_service.receive") for name in sys.modules),
}))
"""


def test_the_guides_calls_tell_what_the_sidecar_found(tmp_path: Path) -> None:
    write_source(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    folder = tmp_path / "runs" / "auto_analysis_guide"
    final = json.loads((folder / "final_training_metrics.json").read_text("utf-8"))
    summary = found["summary"]
    assert summary["run_folder"] == str(folder)
    assert summary["status"] == "finished"
    assert summary["batches"] == final["metadata"]["batches"] == {"train": 4, "val": 4}
    assert summary["summary"] == final["summary"]
    assert (
        summary["latest"]["train"]
        == [row for row in final["batch_metrics"] if row["phase"] == "train"][-1]
    )
    assert found["dashboard"] == "runs/auto_analysis_guide/train_batch_000002.png"
    assert (tmp_path / found["dashboard"]).is_file()
    assert found["metrics"] == "runs/auto_analysis_guide/final_training_metrics.json"
    assert json.loads((tmp_path / "copy.json").read_text()) == final
    latest = summary["latest"]["train"]
    assert found["correlations"]["spatial_consistency"] == latest["spatial_consistency"]
    assert found["batch"] == {}
    assert found["analyzer_imported"] is False
    for row in final["batch_metrics"]:
        if row["samples"]:
            assert row["own_loss"] == 2 * row["loss"]
    assert any("own_loss" in row for row in final["batch_metrics"])


def test_the_trainers_command_takes_an_own_analysis(tmp_path: Path) -> None:
    write_source(tmp_path)
    run(
        *("trainer", *TINY, "--max-steps", "4", "--run-name", "own", "--wandb", "disabled"),
        *("--output-dir", "runs", "--analyzer", "mine:Mine"),
        cwd=tmp_path,
    )
    final = json.loads(
        (tmp_path / "runs/auto_analysis_own/final_training_metrics.json").read_text("utf-8")
    )
    assert sum("own_loss" in row for row in final["batch_metrics"]) >= 4
    assert [source["name"] for source in final["metadata"]["own_analyzers"]] == ["mine:Mine"]


def test_one_that_cannot_be_used_ends_the_command_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDELIGHT_ANALYZER", "mine:Mine")  # as the flag, where none can be given
    done = run(
        *("trainer", *TINY, "--output-dir", "runs"),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    said = f"error: --analyzer mine:Mine: there is no module mine in {tmp_path}"
    assert done.stderr.splitlines() == [said]
    assert list(tmp_path.iterdir()) == []
