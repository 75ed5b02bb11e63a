"""Answers to requests, whatever their bytes are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_service.metrics.pages import Pages
from analyzer_service.metrics.snapshot import Board
from tests.analyzer_service.metrics.boards import make_board, make_run


def ask(pages: Pages, request: str) -> tuple[int, dict[str, str], bytes]:
    head, _, body = pages.answer(f"{request}\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    protocol, status, _ = first.split(" ", 2)
    assert protocol == "HTTP/1.1"
    return int(status), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    "request_line",
    ["GET /metrics HTTP/1.1", "GET /metrics?name[]=x HTTP/1.0", "GET /metrics?a#b HTTP/1.1"],
)
def test_metrics_are_found(request_line: str) -> None:
    status, headers, body = ask(Pages(make_board()), request_line)
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(headers["Content-Length"]) == len(body)
    assert b"\nsidelight_frames_offered_total{" in body


def test_a_head_has_the_length_of_what_it_leaves_out() -> None:
    status, headers, body = ask(Pages(make_board()), "HEAD /metrics HTTP/1.1")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_health_is_a_word_in_json() -> None:
    status, headers, body = ask(Pages(make_board()), "GET /healthz HTTP/1.1")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["Content-Type"] == "application/json"


def test_trouble_is_a_503_with_its_reasons() -> None:
    now = [0.0]
    board = make_board()
    board.clock = lambda: now[0]
    board.turned()
    now[0] = 7.0
    status, _, body = ask(Pages(board), "GET /healthz HTTP/1.1")
    reasons = ["the ingest loop has stood still for 7 s"]
    assert (status, json.loads(body)) == (503, {"status": "failing", "reasons": reasons})


def test_a_full_disk_is_no_reason_for_a_restart_but_for_no_new_work() -> None:
    board = make_board(make_run("büro", store_failing=True))
    board.phase = "open"
    assert ask(Pages(board), "GET /healthz HTTP/1.1")[0] == 200
    status, headers, body = ask(Pages(board), "GET /readyz HTTP/1.1")
    said = json.loads(body)
    assert (status, said["status"]) == (503, "not ready")
    assert said["checks"].pop("stores")["why"] == "results cannot be written: büro"
    assert set(said["checks"].values()) == {"ok"}
    assert headers["Content-Type"] == "application/json"


def test_an_analyzer_that_is_ready_says_so_check_by_check() -> None:
    board = make_board()
    board.phase = "open"
    status, _, body = ask(Pages(board), "GET /readyz HTTP/1.1")
    assert (status, json.loads(body)["status"]) == (200, "ready")


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET / HTTP/1.1", 404),
        ("GET /metrics/ HTTP/1.1", 404),
        ("GET /Metrics HTTP/1.1", 404),
        ("GET /../metrics HTTP/1.1", 404),
        ("POST /metrics HTTP/1.1", 405),
        ("DELETE /healthz HTTP/1.1", 405),
        ("GET /metrics HTTP/2.0", 400),
        ("GET /metrics", 400),
        ("GET  /metrics HTTP/1.1", 400),
        ("get /metrics HTTP/1.1", 400),
        ("GET http://other/metrics HTTP/1.1", 400),
        ("", 400),
    ],
)
def test_everything_else_is_refused(request_line: str, expected: int) -> None:
    status, headers, body = ask(Pages(make_board()), request_line)
    assert status == expected
    assert body.startswith(str(expected).encode())
    assert ("Allow" in headers) == (expected == 405)


@given(st.binary(max_size=300))
def test_whatever_comes_one_response_goes_back(head: bytes) -> None:
    response = PAGES.answer(head)
    assert response.startswith(b"HTTP/1.1 ")
    assert b"\r\n\r\n" in response


PAGES = Pages(Board())


def test_metrics_are_rendered_once_a_second_however_many_ask() -> None:
    board = make_board()
    now = [0.0]
    pages = Pages(board, clock=lambda: now[0])
    first = ask(pages, "GET /metrics HTTP/1.1")[2]
    board.latest = make_board(malformed=99).latest
    now[0] = 0.9
    assert ask(pages, "GET /metrics HTTP/1.1")[2] == first
    now[0] = 1.0
    assert b"sidelight_messages_malformed_total 99.0" in ask(pages, "GET /metrics HTTP/1.1")[2]
