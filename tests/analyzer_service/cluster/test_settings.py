"""Beyond this machine a cluster needs TLS, or a flag that says what it does."""

from pathlib import Path

import pytest

from analyzer_service.cluster.settings import ClusterSettings, TlsFiles, check_cluster
from shared.errors import ConfigurationError


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path, Path]:
    paths = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    for path in paths:
        path.touch()
    ca, cert, key = paths
    return ca, cert, key


def test_without_an_address_there_is_none() -> None:
    assert check_cluster(None, None, allow_plaintext_cluster=False) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_on_this_machine_nothing_is_needed(host: str) -> None:
    address = f"tcp://{host}:8786"
    found = check_cluster(address, None, allow_plaintext_cluster=False)
    assert found == ClusterSettings(address)


def test_another_machine_needs_tls_or_the_flag(tls: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="--allow-plaintext-cluster"):
        check_cluster("tcp://10.0.0.5:8786", None, allow_plaintext_cluster=False)
    assert check_cluster("tcp://10.0.0.5:8786", None, allow_plaintext_cluster=True) is not None
    found = check_cluster("tls://10.0.0.5:8786", tls, allow_plaintext_cluster=False)
    assert found == ClusterSettings("tls://10.0.0.5:8786", TlsFiles(*tls))


def test_files_of_tls_must_be_there_and_of_use(tls: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="not encrypted: say tls://"):
        check_cluster("tcp://127.0.0.1:8786", tls, allow_plaintext_cluster=False)
    with pytest.raises(ConfigurationError, match="needs --cluster"):
        check_cluster(None, tls, allow_plaintext_cluster=False)
    tls[2].unlink()
    with pytest.raises(ConfigurationError, match=r"key\.pem is no file"):
        check_cluster("tls://10.0.0.5:8786", tls, allow_plaintext_cluster=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "ucx://127.0.0.1:8786", "tcp://127.0.0.1", "tls://:x", ""]
)
def test_another_form_of_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="tcp://HOST:PORT or tls://HOST:PORT"):
        check_cluster(address, None, allow_plaintext_cluster=False)
