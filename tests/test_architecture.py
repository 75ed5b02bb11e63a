"""Who may import whom, read from the source: no import is run."""

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "shared": {"trainer", "analyzer_service", "torch", "pytorch_lightning", "lightning"},
    "trainer": {"analyzer_service"},
    "analyzer_service": {"trainer", "torch", "pytorch_lightning", "lightning", "torchmetrics"},
}
SOCKET_MODULES = {"zmq"}
HTTP_MODULES = {"asyncio", "http", "prometheus_client", "sse_starlette", "starlette", "uvicorn"}
IMPURE = {"os", "io", "pathlib", "time", "datetime", "random", "socket", "sqlite3", "logging"}


def imports_of(source: Path) -> set[str]:
    """Top-level packages that a file imports anywhere, lazily too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def sources(package: str) -> list[Path]:
    found = []
    for folder, inner, files in os.walk(ROOT / package):
        inner[:] = [name for name in inner if name != "node_modules"]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    found.sort()
    assert found, f"no sources below {package}"
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_packages_do_not_import_what_they_must_not(package: str) -> None:
    broken = {
        str(path.relative_to(ROOT)): wrong
        for path in sources(package)
        if (wrong := imports_of(path) & FORBIDDEN[package])
    }
    assert broken == {}


def test_sockets_live_only_in_the_transport() -> None:
    users = {
        path.relative_to(ROOT).parts[:2]
        for package in FORBIDDEN
        for path in sources(package)
        if imports_of(path) & SOCKET_MODULES
    }
    assert users == {("shared", "transport")}


def test_http_lives_only_in_the_metrics_and_the_page() -> None:
    users = {
        path.relative_to(ROOT).parts[:2]
        for package in FORBIDDEN
        for path in sources(package)
        if imports_of(path) & HTTP_MODULES
    }
    # The cluster has an event loop, dask's, and serves nothing.
    users.discard(("analyzer_service", "cluster"))
    assert users == {("analyzer_service", "metrics"), ("analyzer_service", "page")}


def test_dask_is_known_to_the_cluster_alone() -> None:
    users = {
        path.relative_to(ROOT).parts[:2]
        for package in FORBIDDEN
        for path in sources(package)
        if imports_of(path) & {"dask", "distributed", "tornado"}
    }
    assert users == {("analyzer_service", "cluster")}


def test_only_the_command_line_knows_the_page() -> None:
    """It is a process of its own: nothing that ingests or analyzes leans on it."""
    users = {
        str(path.relative_to(ROOT))
        for path in sources("analyzer_service")
        if "page" not in path.relative_to(ROOT).parts
        and "analyzer_service.page" in path.read_text("utf-8")
    }
    assert users == {
        "analyzer_service/cli.py",
        "analyzer_service/doctor/examining.py",
        "analyzer_service/doctor/installation.py",
    }


def test_who_is_watched_does_not_know_how() -> None:
    """The loop leaves snapshots; only `serve` starts a server beside it."""
    watching = re.compile(r"analyzer_service\.metrics\.(?!snapshot)")
    users = {
        str(path.relative_to(ROOT))
        for path in sources("analyzer_service")
        if "metrics" not in path.parts and watching.search(path.read_text("utf-8"))
    }
    assert users == {"analyzer_service/receive/serve.py"}


def test_analyses_are_pure() -> None:
    broken = {
        path.name: wrong
        for path in sources("analyzer_service/analyses")
        if (wrong := imports_of(path) & IMPURE)
    }
    assert broken == {}


def test_a_forbidden_import_would_be_seen(tmp_path: Path) -> None:
    source = tmp_path / "lazy.py"
    source.write_text("def f():\n    from trainer.model import bam\n    import torch.nn\n")
    assert imports_of(source) == {"trainer", "torch"}
