import pytest

from shared.errors import ConfigurationError
from shared.transport.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "tcp://127.0.0.1:5555",
            Address("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", loopback=True),
        ),
        (
            "tcp://localhost:1",
            Address("tcp://localhost:1", "tcp://localhost:2", loopback=True),
        ),
        (
            "tcp://[::1]:5555",
            Address("tcp://[::1]:5555", "tcp://[::1]:5556", loopback=True),
        ),
        (
            "tcp://0.0.0.0:65534",
            Address("tcp://0.0.0.0:65534", "tcp://0.0.0.0:65535", loopback=False),
        ),
        (
            "tcp://analyzer.lab:5555",
            Address("tcp://analyzer.lab:5555", "tcp://analyzer.lab:5556", loopback=False),
        ),
        (
            "ipc:///run/side light",
            Address("ipc:///run/side light.ctl", "ipc:///run/side light.bulk", loopback=True),
        ),
    ],
)
def test_one_address_stands_for_two_sockets(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("host", ["127.evil.example", "127.0.0.1.evil.example"])
def test_a_name_that_begins_like_loopback_is_not_loopback(host: str) -> None:
    assert not parse_address(f"tcp://{host}:5555").loopback


@pytest.mark.parametrize(
    "text",
    ["tcp://[::1", "tcp://user@localhost:5555", "tcp://localhost:5555?x", "tcp://a b:5555"],
)
def test_a_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tcp://HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "5555", "localhost:5555", "tcp://", "tcp://:5555", "tcp://localhost", "tcp://localhost:0",
     "tcp://localhost:65535", "tcp://localhost:99999", "tcp://localhost:port",
     "tcp://localhost:5555/path", "udp://localhost:5555", "ipc://", "inproc://x"],
)  # fmt: skip
def test_other_forms_are_refused_with_the_form_to_use(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tcp://HOST:PORT"):
        parse_address(text)
