"""A cluster that speaks TLS: with certificates one gets in, without them nobody does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from analyzer_service.cluster import admission
from analyzer_service.cluster.settings import check_cluster
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.workers import PoolWorkers
from shared.errors import ConfigurationError
from tests.analyzer_service.workers import tasks
from tests.analyzer_service.workers.polling import outcome_of
from tests.analyzer_service.workers.remote import REMOTE, dask_cluster

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for certificates"),
]


def make_files(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A certificate that signs itself, so that it is the CA, too."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, cert, key


def connect(address: str, tls: tuple[Path, Path, Path] | None) -> ClusterWorkers:
    settings = check_cluster(address, tls, allow_plaintext_cluster=False)
    assert settings is not None
    pool = PoolWorkers(1)
    try:
        return ClusterWorkers(settings, pool, REMOTE)
    except ConfigurationError:
        pool.close()
        raise


def test_only_who_has_a_certificate_of_the_cluster_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.security import Security

    ca, cert, key = make_files(tmp_path, "cluster")
    files = {"tls_ca_file": str(ca)}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": str(cert), f"tls_{role}_key": str(key)}
    with dask_cluster(security=Security(require_encryption=True, **files)) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        workers = connect(address, (ca, cert, key))
        assert outcome_of(workers, tasks.add, 1, 2).value == 3
        assert workers.counts().cluster_calls == 1
        workers.close()
        monkeypatch.setattr(admission, "CONNECT_S", 1.0)
        with pytest.raises(ConfigurationError, match="no dask scheduler can be reached"):
            connect(address, make_files(tmp_path, "stranger"))
        with pytest.raises(ConfigurationError, match="no dask scheduler can be reached"):
            connect(address.replace("tls://", "tcp://"), None)


def test_an_address_of_tls_without_files_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give --cluster-tls CA CERT KEY"):
        connect("tls://127.0.0.1:9", None)
