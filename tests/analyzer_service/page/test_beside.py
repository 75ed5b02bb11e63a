"""`serve --page`: two processes that begin and end together."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.analyzer_service.page.serving import LIMIT_S, said
from tests.processes.commands import run, start


class Both:
    """``serve --page`` over `folder`; `url` is where the page is."""

    def __init__(self, folder: Path, *options: str) -> None:
        log = folder / "serve.log"
        command = ("analyzer_service", "serve", "--bind", f"ipc://{folder}/s", "--metrics", "off")
        self.process = start(*command, *options, cwd=folder, log=log)
        self.url = said(r"page at (http://\S+)", log, self.process)
        (self.page,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "page" in child.cmdline()
        ]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    started = Both(tmp_path, "--page", "--page-bind", "127.0.0.1:0")
    yield started
    started.process.kill()
    started.process.wait()


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_page_is_there_as_long_as_the_analyzer(both: Both, how: signal.Signals) -> None:
    assert httpx2.get(both.url).status_code == 200
    both.process.send_signal(how)
    both.process.wait(LIMIT_S)
    both.page.wait(LIMIT_S)
    assert not both.page.is_running()


@pytest.mark.process
def test_the_analyzer_outlives_the_page(both: Both) -> None:
    both.page.kill()
    assert both.process.poll() is None
    both.process.terminate()
    assert both.process.wait(LIMIT_S) == 0


@pytest.mark.process
def test_a_token_is_not_on_the_command_line(tmp_path: Path) -> None:
    both = Both(tmp_path, "--page-bind", "0.0.0.0:0")
    try:
        token = both.url.partition("token=")[2]
        assert len(token) > 20
        assert not any(token in word for word in both.page.cmdline())
    finally:
        both.process.terminate()
        both.process.wait(LIMIT_S)


@pytest.mark.process
def test_a_port_that_is_taken_is_said_before_anything_begins(both: Both, tmp_path: Path) -> None:
    port = both.url.rstrip("/").rpartition(":")[2]
    command = ("analyzer_service", "serve", "--bind", f"ipc://{tmp_path}/t", "--metrics", "off")
    refused = run(*command, "--page-bind", f"127.0.0.1:{port}", cwd=tmp_path, check=False)
    assert isinstance(refused, subprocess.CompletedProcess)
    assert refused.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on: it is in use" in refused.stderr
    assert "--page-bind" in refused.stderr
