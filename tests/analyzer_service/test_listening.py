import doctest
import socket

import pytest

from analyzer_service import listening
from analyzer_service.listening import HttpAddress, listen, parse_http_address, url_of
from analyzer_service.settings import check_metrics
from shared.errors import ConfigurationError


def test_examples_are_true() -> None:
    assert doctest.testmod(listening).failed == 0


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:9464", True),
        ("127.8.8.8:1", True),
        ("localhost:9464", True),
        ("[::1]:9464", True),
        ("0.0.0.0:9464", False),
        ("[::]:9464", False),
        ("10.0.0.1:9464", False),
        ("127.example.org:9464", False),
        ("node7:9464", False),
    ],
)
def test_only_the_machine_itself_needs_no_flag(text: str, loopback: bool) -> None:
    assert parse_http_address(text, option="--metrics").loopback == loopback
    assert check_metrics(text, allow_plaintext_metrics=True) is not None
    if loopback:
        assert check_metrics(text, allow_plaintext_metrics=False) is not None
    else:
        with pytest.raises(ConfigurationError, match="--allow-plaintext-metrics"):
            check_metrics(text, allow_plaintext_metrics=False)


@pytest.mark.parametrize("text", ["9464", ":9464", "a:b", "a:65536", "[::1]", "http://a:1", ""])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="give HOST:PORT, or off"):
        check_metrics(text, allow_plaintext_metrics=True)


def test_off_is_nowhere_and_nothing_is_the_documented_port() -> None:
    assert check_metrics("off", allow_plaintext_metrics=False) is None
    default = check_metrics(None, allow_plaintext_metrics=False)
    assert default is not None
    assert (default.host, default.ports[0], default.loopback) == ("127.0.0.1", 9464, True)


def held(count: int) -> list[socket.socket]:
    return [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]


def ports_of(sockets: list[socket.socket]) -> tuple[int, ...]:
    return tuple(each.getsockname()[1] for each in sockets)


def test_the_first_free_port_of_the_default_ones_is_taken() -> None:
    taken = held(2)
    free = held(1)
    (port,) = ports_of(free)
    free[0].close()
    found = listen(HttpAddress("--metrics", ports=(*ports_of(taken), port)))
    assert found is not None
    assert url_of(found, "/metrics") == f"http://127.0.0.1:{port}/metrics"
    for each in (*taken, found):
        each.close()


def test_without_a_free_default_port_nothing_is_served() -> None:
    taken = held(2)
    assert listen(HttpAddress("--metrics", ports=ports_of(taken))) is None
    for each in taken:
        each.close()


def test_a_port_that_was_asked_for_must_be_had() -> None:
    taken = held(1)
    (port,) = ports_of(taken)
    with pytest.raises(ConfigurationError, match=f"{port} cannot be listened on: it is in use"):
        listen(parse_http_address(f"127.0.0.1:{port}", option="--metrics"))
    taken[0].close()


def test_a_host_that_is_nowhere_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no-such-host\.invalid:9464 cannot be "):
        listen(parse_http_address("no-such-host.invalid:9464", option="--metrics"))


def test_port_0_is_any_free_one() -> None:
    found = listen(parse_http_address("localhost:0", option="--metrics"))
    assert found is not None
    assert url_of(found, "/metrics").startswith("http://127.0.0.1:")
    found.close()


@pytest.mark.parametrize(
    ("text", "url"), [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")]
)
def test_an_address_of_every_interface_is_said_as_one_that_opens(text: str, url: str) -> None:
    found = listen(parse_http_address(text, option="--bind"))
    assert found is not None
    assert url_of(found, "/").startswith(url)
    found.close()


def test_small_answers_are_not_held_back() -> None:
    listener = listen(parse_http_address("127.0.0.1:0", option="--bind"))
    assert listener is not None
    with listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
