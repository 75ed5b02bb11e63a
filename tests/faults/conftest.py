"""Every test here has a scene of processes, which ends with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.disk import SmallDisk, has_namespaces, may_mount, run_inside
from tests.processes.scene import Scene


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is killed, starved and delayed here depends on when the machine lets it run."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.alone)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Processes over real sockets, none of which outlives the test."""
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = SmallDisk(folder)
    if may_mount():
        made.mount(16)
        yield made
        made.unmount()
    elif has_namespaces():
        yield made  # `pytest_pyfunc_call` runs the test where it can be mounted
    else:
        pytest.skip("no small disk can be mounted here: it takes root, or unshare -Urm")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that wants a disk of its own where it may have one."""
    if "disk" not in pyfuncitem.fixturenames or may_mount():
        return None
    run_inside(pyfuncitem.nodeid)
    return True
