"""SIGTERM and Ctrl-C: what is kept, what the exit code says, and that twice is at once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from shared.messages import RunEnded
from tests.trainer.test_fit import make_settings, messages, of_type
from trainer import signals
from trainer.fit import fit
from trainer.signals import EndedBySignals


def ask_to_end_at(step, monkeypatch):
    """Let a training get SIGTERM as a batch begins."""
    batches = iter(range(1000))

    def count(*_):
        if next(batches) == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(EndedBySignals, "on_train_batch_start", count)


def test_sigterm_keeps_a_checkpoint_that_training_goes_on_from(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    before = signal.getsignal(signal.SIGTERM)
    recording = tmp_path / "r.mcap"
    options = {"epochs": 2, "max_steps": -1, "record": recording}
    with monkeypatch.context() as patched:
        ask_to_end_at(2, patched)
        with pytest.raises(SystemExit) as ended:
            fit(make_settings(tmp_path, **options))
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    last = tmp_path / "training_short" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=False)["global_step"] == 3  # the batch was finished
    assert f"--resume {last}" in caplog.text
    [said] = of_type(RunEnded, messages(recording))
    assert (said.status, said.reason) == ("interrupted", "SIGTERMException: ")
    options = {"epochs": 2, "resume": last, "run_name": None, "max_steps": 5}
    fit(make_settings(tmp_path, **options))
    assert [each.name for each in last.parent.glob("last*")] == ["last.ckpt"]
    assert torch.load(last, weights_only=False)["global_step"] == 5


def test_sigterm_after_the_last_step_is_heeded_at_once(tmp_path):
    ended = EndedBySignals(tmp_path / "last.ckpt", 3600.0, alone=True)
    with ended.heeded():
        ended.on_train_start(None, None)
        os.kill(os.getpid(), signal.SIGTERM)  # Lightning ends the training: nothing is raised
        ended.number = None
        ended.on_train_end(None, None)
        with pytest.raises(SystemExit) as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert ended.number == signal.SIGTERM


def test_what_takes_too_long_is_ended_and_says_so(tmp_path, monkeypatch, caplog):
    over = threading.Event()
    codes = []

    def end(code):
        codes.append(code)
        over.set()

    monkeypatch.setattr(signals.os, "_exit", end)
    ended = EndedBySignals(tmp_path / "last.ckpt", 0.01, alone=True)
    with ended.heeded():
        ended.on_train_start(None, None)
        os.kill(os.getpid(), signal.SIGTERM)
        assert over.wait(30.0)
    assert codes == [128 + signal.SIGTERM]
    assert "not through within --grace 0.01 s" in caplog.text


TWICE = """
import os, signal, sys
from pathlib import Path
from trainer.signals import EndedBySignals
ended = EndedBySignals(Path("last.ckpt"), 3600.0, alone=True)
with ended.heeded():
    ended.on_train_start(None, None)
    if sys.argv[1] == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Lightning does
        ended.on_exception(None, None, KeyboardInterrupt())
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    print("still here")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_it_at_once(name):
    done = subprocess.run(
        [sys.executable, "-c", TWICE, name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (128 + getattr(signal, name), "")


def test_a_full_disk_keeps_no_run_from_its_end(tmp_path, caplog):
    class FullDisk:
        global_step, sanity_checking = 1, False

        def save_checkpoint(self, path: Path) -> None:
            raise OSError(28, "No space left on device", str(path))

    class SIGTERMException(SystemExit): ...

    ended = EndedBySignals(tmp_path / "last.ckpt", 1.0, alone=True)
    ended.on_exception(FullDisk(), None, SIGTERMException())
    assert "no checkpoint could be written" in caplog.text
