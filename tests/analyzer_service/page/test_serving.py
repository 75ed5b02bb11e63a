"""How the page's process ends: soon, with its streams in order, and not as a failure."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.analyzer_service.page.serving import LIMIT_S, Served
from tests.analyzer_service.sinks.runs import write_run

STREAMS = (
    *("/api/runs/a/live", "/api/live?run=a&run=b", "/api/runs/missing/live"),
    "/api/runs/a/annotations/live?reader=anna",
)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl+C"])
def test_a_signal_ends_it_and_every_stream(
    tmp_path: Path, serve: Callable[..., Served], how: signal.Signals
) -> None:
    write_run(tmp_path / "auto_analysis_a").close()
    served = serve()
    at = urlsplit(served.url)
    viewers = []
    for path in STREAMS:
        viewer = socket.create_connection((at.hostname, at.port), timeout=LIMIT_S)
        viewer.sendall(f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
        assert viewer.recv(1 << 16).startswith(b"HTTP/1.1 200")
        viewers.append(viewer)
    served.process.send_signal(how)
    assert served.process.wait(LIMIT_S) == 0
    for viewer in viewers:
        with viewer, viewer.makefile("rb") as said:
            assert said.read().endswith(b"0\r\n\r\n")  # all of it was sent
    log = (tmp_path / "page0.log").read_text()
    assert "Traceback" not in log
    assert '"ERROR"' not in log
