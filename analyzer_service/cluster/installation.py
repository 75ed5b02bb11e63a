"""What a machine would compute with: two that agree on it give the same bytes."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import analyzer_service
import shared

PACKAGES: Final = (
    "dask",
    "distributed",
    "msgpack",
    "numpy",
    "opencv-python-headless",
    "pydantic",
    "scikit-image",
    "scipy",
)
"""Those that a frame passes through on its way to numbers and back."""

SOURCES: Final = "Sidelight's sources"
PROCESSOR: Final = "processor"
_CPUINFO: Final = Path("/proc/cpuinfo")


@cache
def installation() -> Mapping[str, str]:
    """Versions of Sidelight (and a hash of its sources), Python and the packages, by name.

    `PROCESSOR` is beside them; it does not count for `digest`.
    """
    found = {
        "Sidelight": _version("sidelight"),
        SOURCES: _hash_of_sources(),
        "Python": platform.python_version(),
    }
    found |= {name: _version(name) for name in PACKAGES}
    return found | {PROCESSOR: _processor()}


def digest(found: Mapping[str, str]) -> str:
    """One word for everything in `found` that must be the same."""
    counted = sorted((name, words) for name, words in found.items() if name != PROCESSOR)
    return hashlib.sha256(repr(counted).encode()).hexdigest()


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """What must be the same and is not, a phrase each.

    Examples
    --------
    >>> differences({"numpy": "2.4.6", "scipy": "1.17"}, {"numpy": "2.4.5", "scipy": "1.17"})
    ['numpy is 2.4.5 there, 2.4.6 here']
    """
    return [
        f"{name} is {theirs.get(name, 'missing')} there, {words} here"
        for name, words in ours.items()
        if name != PROCESSOR and theirs.get(name) != words
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _hash_of_sources() -> str:
    found = hashlib.sha256()
    for package in (analyzer_service, shared):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            found.update(f"{root.name}/{path.relative_to(root).as_posix()}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _processor() -> str:
    """Model of the processor as the system names it."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {models[0] if models else platform.processor()}".strip()
