"""Key files, and who gets through the sockets with which of them."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from zmq.auth.certs import create_certificates

from shared.errors import ConfigurationError
from shared.transport.addresses import Address, parse_address
from shared.transport.keys import ClientKeys, load_client_keys, load_server_keys, make_keys
from shared.transport.producer import ProducerSockets
from shared.transport.server import RouterPair
from tests.shared.transport.ports import free_port
from tests.shared.transport.waiting import until

# Long enough for ZeroMQ to connect to this machine and shake hands a dozen times.
REFUSED_MS = 500


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "tcp":
        return parse_address(f"tcp://127.0.0.1:{free_port()}")
    return parse_address(f"ipc://{tmp_path}/a")


@pytest.fixture
def pair(address: Address, folder: Path) -> Iterator[RouterPair]:
    routers = RouterPair(address, load_server_keys(folder))
    yield routers
    routers.close()


def gets_through(pair: RouterPair, address: Address, keys: ClientKeys | None) -> bool:
    """Whether what a producer says on either socket arrives."""
    producer = ProducerSockets(address, keys)
    producer.reopen()
    try:
        for channel in ("ctl", "bulk"):
            if not until(lambda c=channel: producer.send(c, [b"x"]), REFUSED_MS):
                return False
            assert pair.poll(10_000)
            (incoming,) = pair.receive(channel, 10)
            assert pair.send(channel, incoming.peer, b"answer")
        answers: list[bytes] = []
        assert until(lambda: answers.extend(producer.receive(100)) or len(answers) == 2, 10_000)
        return answers == [b"answer", b"answer"]
    finally:
        producer.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_secrets_are_for_their_owner_alone_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_keys(tmp_path / "new" / "keys")
    finally:
        os.umask(before)
    keys = tmp_path / "new" / "keys"
    assert mode(keys) == mode(keys / "authorized") == 0o700
    assert {path.name: mode(path) for path in keys.rglob("*") if path.is_file()} == {
        "server.key": 0o644,
        "server.key_secret": 0o600,
        "client.key": 0o644,
        "client.key_secret": 0o600,
    }
    assert mode(keys / "authorized" / "client.key") == 0o644


def test_the_two_sides_fit_and_every_folder_is_another(folder: Path, tmp_path: Path) -> None:
    server, client = load_server_keys(folder), load_client_keys(folder)
    assert client.server == server.public == zmq.curve_public(server.secret)
    assert server.authorized == {client.public} == {zmq.curve_public(client.secret)}
    assert server.public != client.public
    make_keys(tmp_path / "other")
    assert load_client_keys(tmp_path / "other").public != client.public


def test_secrets_are_not_shown_by_repr(folder: Path) -> None:
    for keys in (load_server_keys(folder), load_client_keys(folder)):
        assert str(keys.secret) not in repr(keys)
        assert keys.secret.decode() not in repr(keys)


def test_nothing_is_written_over(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match="is not empty"):
        make_keys(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="choose another folder"):
        make_keys(tmp_path / "file")


def test_a_secret_that_others_can_read_is_not_used(folder: Path) -> None:
    for file, load in (
        (folder / "server.key_secret", load_server_keys),
        (folder / "client.key_secret", load_client_keys),
    ):
        file.chmod(0o640)
        with pytest.raises(ConfigurationError, match=f"{file.name} can be used by others"):
            load(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there"),
        (b"", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b'public-key = "short"\n', "holds no public key"),
        (b'public-key = "' + "ü".encode() * 20 + b'"\n', "holds no public key"),
        (b'public-key = "' + b"0" * 40 + b'"\n', "holds no secret key that fits"),
        (
            b'public-key = "' + b"0" * 40 + b'"\nsecret-key = "' + b"1" * 40 + b'"\n',
            "holds no secret key that fits",
        ),
    ],
)
def test_a_file_that_is_no_key_is_named(folder: Path, content: bytes | None, said: str) -> None:
    file = folder / "client.key_secret"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"client.key_secret.*{said}"):
        load_client_keys(folder)


def test_an_empty_list_is_refused_as_nobody_could_connect(folder: Path) -> None:
    (folder / "authorized" / "client.key").unlink()
    with pytest.raises(ConfigurationError, match="nobody could connect"):
        load_server_keys(folder)


def test_an_authorized_key_gets_through_both_ways(pair, address, folder) -> None:
    assert gets_through(pair, address, load_client_keys(folder))


def test_an_unlisted_key_is_refused_and_named_once(pair, address, folder, tmp_path, caplog) -> None:
    make_keys(tmp_path / "stranger")
    (tmp_path / "stranger" / "server.key").write_bytes((folder / "server.key").read_bytes())
    stranger = load_client_keys(tmp_path / "stranger")
    assert not gets_through(pair, address, stranger)
    named = [r.getMessage() for r in caplog.records if "not authorized" in r.getMessage()]
    assert len(named) == 1
    assert stranger.public.decode() in named[0]
    assert gets_through(pair, address, load_client_keys(folder)), "the others still get in"


def test_a_plaintext_client_is_refused(pair, address, folder) -> None:
    assert not gets_through(pair, address, None)
    assert gets_through(pair, address, load_client_keys(folder))


def test_a_client_with_another_servers_key_is_refused(pair, address, folder, tmp_path) -> None:
    make_keys(tmp_path / "other")
    (folder / "server.key").write_bytes((tmp_path / "other" / "server.key").read_bytes())
    assert not gets_through(pair, address, load_client_keys(folder))


def test_a_client_with_keys_does_not_speak_plaintext(address: Address, folder: Path) -> None:
    plain = RouterPair(address)
    assert not gets_through(plain, address, load_client_keys(folder))
    plain.close()


def test_a_further_key_is_let_in(address: Address, folder: Path, tmp_path: Path) -> None:
    public, _ = create_certificates(tmp_path, "client")
    (folder / "authorized" / "second.key").write_bytes(Path(public).read_bytes())
    server = load_server_keys(folder)
    (tmp_path / "client.key_secret").chmod(0o600)
    (tmp_path / "server.key").write_bytes((folder / "server.key").read_bytes())
    pair = RouterPair(address, server)
    assert gets_through(pair, address, load_client_keys(tmp_path))
    assert gets_through(pair, address, load_client_keys(folder))
    pair.close()


def test_nobody_gets_in_where_the_list_is_not_asked(pair, address, folder) -> None:
    assert pair._gate is not None
    pair._gate.close()
    assert not gets_through(pair, address, load_client_keys(folder))


def test_closing_ends_the_thread_and_waits_for_nobody(address: Address, folder: Path) -> None:
    threads = set(threading.enumerate())
    pair = RouterPair(address, load_server_keys(folder))
    (gate,) = set(threading.enumerate()) - threads
    assert gate.daemon, "it dies with the process"
    producer = ProducerSockets(address)  # never gets in, never gives up
    producer.reopen()
    producer.send("ctl", [b"x"])
    closing = threading.Thread(target=pair.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert not gate.is_alive()
    producer.close()


def test_an_address_in_use_ends_the_thread_too(folder: Path) -> None:
    address = parse_address(f"tcp://127.0.0.1:{free_port()}")
    first = RouterPair(address)
    threads = set(threading.enumerate())
    with pytest.raises(ConfigurationError, match="in use"):
        RouterPair(address, load_server_keys(folder))
    assert set(threading.enumerate()) == threads
    first.close()
