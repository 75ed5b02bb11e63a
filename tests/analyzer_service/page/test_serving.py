"""How the page's process ends: soon, with its streams in order, and not as a failure."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
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


@pytest.mark.parametrize(
    "request_line", ["PATCH /api/runs/a", "PUT /api/runs/a/annotations/classes"]
)
def test_who_leaves_in_the_middle_of_a_request_leaves_no_error_behind(
    tmp_path: Path, serve: Callable[..., Served], request_line: str
) -> None:
    write_run(tmp_path / "auto_analysis_a", epochs=0).close()
    served = serve()
    at = urlsplit(served.url)
    head = f"{request_line} HTTP/1.1\r\nHost: {at.netloc}\r\nOrigin: http://{at.netloc}\r\n"
    with socket.create_connection((at.hostname, at.port), timeout=LIMIT_S) as leaving:
        # Asked whether to go on, the page has begun to read when it says so.
        leaving.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 50\r\n\r\n".encode())
        assert leaving.recv(1 << 16).startswith(b"HTTP/1.1 100")
    assert httpx2.get(f"{served.url}healthz").status_code == 200
    served.close()
    assert "ClientDisconnect" not in (tmp_path / "page0.log").read_text()
