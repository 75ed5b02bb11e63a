"""The analyzer of one's own, where its process does not do what it should."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.publish import local
from trainer.publish.local import LocalAnalyzer


def test_a_process_that_cannot_be_killed_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "_TERMINATE_GRACE_S", 0.1)
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    analyzer = LocalAnalyzer(sleeps, tmp_path / "sockets", tmp_path / "log")
    process = analyzer._process
    with monkeypatch.context() as held_up:  # by a disk that does not answer, say
        held_up.setattr(subprocess.Popen, "terminate", lambda _: None)
        held_up.setattr(subprocess.Popen, "kill", lambda _: None)
        began_s = time.monotonic()
        analyzer.stop()
        assert time.monotonic() - began_s < 30
    assert "cannot be ended now" in caplog.text
    process.kill()
    assert process.wait(10) == -9
