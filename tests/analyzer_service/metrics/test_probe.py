"""The health check of containers, against a server of its own."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from analyzer_service.listening import url_of
from analyzer_service.metrics import probe
from analyzer_service.metrics.pages import Pages
from analyzer_service.metrics.server import HttpServer
from analyzer_service.metrics.snapshot import Board


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def url(board: Board) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    with closing(HttpServer(listener, Pages(board))):
        yield url_of(listener, "/readyz")


def test_what_is_wrong_is_printed(
    url: str, board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked
    monkeypatch.setattr(sys, "argv", ["probe", url])
    for phase, code, words in (("starting", 1, "does not listen yet"), ("open", 0, '"ready"')):
        board.phase = phase  # type: ignore[assignment]
        with pytest.raises(SystemExit) as ended:
            probe.main()
        assert ended.value.code == code
        assert words in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["http://127.0.0.1:1/healthz", "nonsense", "http://[::1"])
def test_what_does_not_answer_is_not_well(asked: str) -> None:
    well, said = probe.ask(asked, limit_s=1.0)
    assert not well
    assert "does not answer" in said
