"""Whole runs of the command, short and without an analyzer."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shared.codec import decode_payload
from shared.messages import BatchFrame, BatchMetrics, RunEnded, RunStarted
from shared.recording import RecordingReader
from trainer import cli
from trainer.fit import fit
from trainer.settings import read_settings

ROOT = Path(__file__).parents[2]

WATCHED_RUN = """
import json, sys, threading
import torch

started, hooked = [], []
start, hook = threading.Thread.start, torch.nn.Module.register_forward_hook
def note_start(self):
    started.append(self.name)
    start(self)
def note_hook(self, *args, **options):
    hooked.append(type(self).__name__)
    return hook(self, *args, **options)
threading.Thread.start = note_start
torch.nn.Module.register_forward_hook = note_hook
from trainer.cli import main
try:
    main()
except SystemExit as ended:
    code = ended.code
avoided = ("zmq", "msgpack", "mcap", "wandb")
loaded = sorted(name for name in sys.modules if name.split(".")[0] in avoided)
print(json.dumps({"code": code or 0, "loaded": loaded, "threads": started, "hooks": hooked}))
"""


def make_settings(folder, **options):
    defaults = {
        "no_cuda": True,
        "sidecar": "off",
        "tile_size": 32,
        "batch_size": 4,
        "max_steps": 3,
        "epochs": 1,
        "run_name": "short",
        "output_dir": folder,
    }
    return read_settings(**(defaults | options))


def messages(path):
    return [decode_payload(item.payload) for item in RecordingReader(path)]


def of_type(kind, found):
    return [message for message in found if isinstance(message, kind)]


def test_off_means_no_hooks_no_threads_and_none_of_its_packages(tmp_path):
    flags = "--sidecar off --no-cuda --tile-size 32 --batch-size 64 --max-steps 2 --run-name off"
    command = [sys.executable, "-c", WATCHED_RUN, *flags.split(), "--output-dir", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "code": 0,
        "loaded": [],
        "threads": [],
        "hooks": [],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["training_off"]


def test_leaves_checkpoints_and_logs(tmp_path):
    finished = fit(make_settings(tmp_path))
    assert finished.checkpoints == tmp_path / "training_short" / "checkpoints"
    names = {path.name for path in finished.checkpoints.iterdir()}
    assert "last.ckpt" in names
    assert any(name.startswith("epoch0-step3-val_loss") for name in names)
    logged = (tmp_path / "training_short" / "logs" / "version_0" / "metrics.csv").read_text()
    assert {"val/loss", "val/ssim"} <= set(logged.splitlines()[0].split(","))
    assert finished.run_folder is None
    assert finished.recording is None


def test_only_the_three_best_checkpoints_and_the_last_are_kept(tmp_path):
    finished = fit(make_settings(tmp_path, epochs=5, max_steps=-1, batch_size=640, tile_size=16))
    assert len(list(finished.checkpoints.iterdir())) == 4


def test_it_learns(tmp_path):
    begun = fit(make_settings(tmp_path, run_name="begun", max_steps=1, tile_size=64))
    trained = fit(
        make_settings(tmp_path, run_name="trained", max_steps=80, tile_size=64, batch_size=8)
    )
    assert trained.val_loss < 0.2 * begun.val_loss
    assert trained.val_ssim > begun.val_ssim + 0.3


def test_the_same_seed_trains_the_same_model(tmp_path):
    losses = [
        fit(make_settings(tmp_path, run_name=name, seed=seed)).val_loss
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] != pytest.approx(losses[2], rel=1e-4)


def test_mixed_precision_trains(tmp_path):
    trained = fit(make_settings(tmp_path, precision="bf16-mixed", max_steps=20, batch_size=8))
    assert trained.val_loss < 0.05


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch, caplog):
    epochs = iter(range(10))

    def interrupt(*_):
        if next(epochs) == 2:  # the sanity check, epoch 0, epoch 1
            raise KeyboardInterrupt

    monkeypatch.setattr("trainer.fit.EpochLines.on_validation_end", interrupt)
    caplog.set_level("INFO")
    recording = tmp_path / "r.mcap"
    settings = make_settings(tmp_path, epochs=3, max_steps=-1, batch_size=320, record=recording)
    with pytest.raises(SystemExit) as ended:
        fit(settings)
    assert ended.value.code == 130
    assert "run short stopped at step " in caplog.text
    assert "Records: handed over" in caplog.text
    last = tmp_path / "training_short" / "checkpoints" / "last.ckpt"
    assert last.exists()
    resumed = settings_of_command(caplog.text, monkeypatch)
    changed = {"resume": last, "run_name": None, "record": None}
    assert resumed == settings.model_copy(update=changed)


def settings_of_command(text, monkeypatch):
    """What the command line makes of the command that is printed to go on."""
    [line] = [line for line in text.splitlines() if "to go on: " in line]
    _, flags = line.split(" -m trainer ")
    asked = []
    monkeypatch.setattr(cli, "_run", lambda settings, *_: asked.append(settings))
    cli.app(shlex.split(flags), standalone_mode=False)
    return asked[0]


def test_recording_without_a_sidecar_holds_every_batch(tmp_path):
    fit(make_settings(tmp_path, record=tmp_path / "run.mcap", frame_samples=2))
    found = messages(tmp_path / "run.mcap")
    [started], [ended] = of_type(RunStarted, found), of_type(RunEnded, found)
    assert (started.run_name, started.stain, started.tile_size) == ("short", "ihc", 32)
    assert [layer.name for layer in started.layers] == [
        *("bam_48", "bam_2", "encoder_kan", "decoder_kan")
    ]
    assert started.config["batch_size"] == 4
    assert str(tmp_path) not in json.dumps(started.config)
    assert ended.status == "finished"
    steps = [m.global_step for m in of_type(BatchMetrics, found) if m.phase == "train"]
    assert steps == [1, 2, 3]
    validations = [f for f in of_type(BatchFrame, found) if f.phase == "val"]
    assert len(validations) >= 5
    sample = validations[0].samples[0]
    assert sample.id == f"{sample.source}:{sample.row}:{sample.col}"
    assert validations[0].attention["bam_48"].shape == (2, 8, 8)
    assert validations[0].activation["encoder_kan"].shape == (2, 4, 4)


def test_a_resumed_run_is_the_same_run_a_later_incarnation(tmp_path):
    first = fit(make_settings(tmp_path, record=tmp_path / "1.mcap"))
    fit(
        make_settings(
            tmp_path,
            run_name=None,
            resume=first.checkpoints / "last.ckpt",
            record=tmp_path / "2.mcap",
            max_steps=5,
            epochs=2,
        )
    )
    before, after = messages(tmp_path / "1.mcap"), messages(tmp_path / "2.mcap")
    [one], [two] = of_type(RunStarted, before), of_type(RunStarted, after)
    assert (two.run_id, two.run_name) == (one.run_id, "short")
    assert (one.incarnation, one.resumed_from_step) == (1, None)
    assert two.incarnation > 1
    assert two.resumed_from_step == 3
    steps = [m.global_step for m in of_type(BatchMetrics, after) if m.phase == "train"]
    assert steps == [4, 5]
    logs = tmp_path / "training_short" / "logs"
    assert {path.name for path in logs.iterdir()} == {"version_0", "version_1"}


def test_the_report_of_an_analyzer_that_ended_for_good_is_missing(tmp_path, monkeypatch):
    refuses = tmp_path / "python"
    refuses.write_text("#!/bin/sh\nexit 2\n")  # as with settings that it cannot use
    refuses.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(refuses))
    finished = fit(make_settings(tmp_path, sidecar="local"))
    assert finished.report == "missing"
    assert not finished.complete
    assert of_type(RunEnded, messages(finished.recording))
