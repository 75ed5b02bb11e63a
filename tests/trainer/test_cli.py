"""Flags, and settings that cannot be used: one line, exit code 2, nothing written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer import cli
from trainer.cli import main
from trainer.settings import TrainSettings

ROOT = Path(__file__).parents[2]
GUIDE_FLAGS = {"gpu", "no-cuda", "batch-size", "num-workers", "analysis-freq", "project-name"}


def run(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["trainer", *map(str, flags)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def tree(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def a_file(folder, name, content=b"x"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def a_checkpoint(folder, **hyper_parameters):
    path = folder / "some.ckpt"
    torch.save({"hyper_parameters": hyper_parameters}, path)
    return path


BAD = {
    "no such data": (lambda d: ["--data", d / "missing"], "no such data"),
    "empty folder": (lambda d: ["--data", d], "no images in"),
    "tile size": (lambda _: ["--tile-size", 100], "tile size 100 must be a multiple of 8"),
    "gpu": (lambda _: ["--gpu", 99], "--gpu 99 is not there"),
    "gpu and cpu": (lambda _: ["--gpu", 0, "--no-cuda"], "contradict"),
    "run name": (lambda _: ["--run-name", "../up"], "not a plain file name"),
    "output folder": (lambda d: ["--output-dir", a_file(d, "f") / "x"], "is not writable"),
    "run exists": (
        lambda d: ["--run-name", "r", a_file(d, "auto_analysis_r/x") and "--seed", 1],
        "auto_analysis_r already exists",
    ),
    "training exists": (
        lambda d: ["--run-name", "r", a_file(d, "training_r/x") and "--seed", 1],
        "training_r already exists.*--resume",
    ),
    "recording exists": (lambda d: ["--record", a_file(d, "r.mcap")], "r.mcap already exists"),
    "sidecar": (lambda _: ["--sidecar", "remote"], "'remote' must be local, off or tcp://"),
    "address": (lambda _: ["--sidecar", "tcp://nowhere"], "has another form"),
    "keys for nobody": (lambda d: ["--keys", d], "--keys is for an analyzer that runs elsewhere"),
    "no keys": (
        lambda d: ["--sidecar", "tcp://10.0.0.1:5555", "--keys", d],
        "server.key is not there: make a folder of keys",
    ),
    "model": (lambda _: ["--model", "huge"], "--model 'huge'"),
    "mpp": (lambda _: ["--mpp", -1], "--mpp"),
    "epochs": (lambda _: ["--epochs", 0], "--epochs"),
    "precision": (lambda _: ["--no-cuda", "--precision", "16-mixed"], "16-mixed needs CUDA"),
    "limit": (lambda _: ["--queue-mib", 0], "--queue-mib 0: input should be greater than"),
    "limit below a frame": (
        lambda _: ["--frame-samples", 64, "--capture-mib", 5, "--no-cuda"],
        "capture_mib 5 is too small for a single frame: 64 tiles of 128 pixels take 6.0 MiB",
    ),
    "max steps": (lambda _: ["--max-steps", 0], "--max-steps 0 trains nothing"),
    "no checkpoint": (lambda d: ["--resume", d / "none.ckpt"], "no such file"),
    "bad checkpoint": (lambda d: ["--resume", a_file(d, "a.ckpt")], "not a checkpoint of this"),
    "other run": (
        lambda d: [
            *("--resume", a_checkpoint(d, run_name="first", model="small")),
            *("--run-name", "second"),
        ],
        "--run-name second differs from first",
    ),
    "other model": (
        lambda d: [
            *("--resume", a_checkpoint(d, run_name="first", model="small")),
            *("--model", "full"),
        ],
        "--model full differs from the checkpoint's small",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(case, tmp_path, monkeypatch, capsys):
    make, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    flags = make(tmp_path)
    before = tree(tmp_path)
    assert run(monkeypatch, *flags) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert re.search(message, said)
    assert tree(tmp_path) == before


def test_flags_become_settings(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "_run", lambda settings, *_: seen.append(settings))
    run(monkeypatch, "--gpu", 1, "--batch-size", 16, "--analysis-freq", 50, "--record", "a.mcap")
    assert seen == [TrainSettings(gpu=1, batch_size=16, analysis_freq=50, record=Path("a.mcap"))]


def test_defaults_are_the_guides(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "_run", lambda settings, *_: seen.append(settings))
    run(monkeypatch)
    [settings] = seen
    assert (settings.gpu, settings.batch_size, settings.num_workers) == (None, None, 4)
    assert (settings.analysis_freq, settings.project_name) == (100, "histopath-kan-auto")


def test_help_is_quick_and_shows_every_flag():
    code = (
        "import sys, trainer.cli\n"
        "try:\n    trainer.cli.main()\nexcept SystemExit:\n    pass\n"
        "print('imported:', [m for m in ('torch', 'pytorch_lightning') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    shown = set(re.findall(r"^  --([a-z-]+)", ran.stdout, re.MULTILINE))
    fields = {name.replace("_", "-") for name in TrainSettings.model_fields}
    assert fields > GUIDE_FLAGS
    assert shown - {"help", "config", "log-format"} == fields
    assert "imported: []" in ran.stdout
