"""What is installed: Python, the packages of each extra, the page's scripts."""

import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from packaging.requirements import Requirement

from analyzer_service.doctor.findings import Finding
from analyzer_service.page.settings import check_built
from shared.errors import ConfigurationError

_OLDEST: Final = (3, 11)
_EXTRAS: Final = {
    "analyzer": "serve, replay, report",
    "page": "the live page",
    "notify": "alerts to chat and mail",
    "export": "Parquet",
    "trainer": "training on this machine",
    "cluster": "analyses on a dask cluster",
    "wsi": "whole slides",
}
_NEEDED: Final = "analyzer"
_DISTRIBUTION: Final = "sidelight"


def check_python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether Python is new enough."""
    words = ".".join(map(str, found))
    if found >= _OLDEST:
        return Finding("ok", "Python", words)
    return Finding("problem", "Python", words, "install Python 3.11 or newer")


def check_packages() -> list[Finding]:
    """Whether the packages of each extra are there, in versions that do."""
    try:
        required = [Requirement(text) for text in requires(_DISTRIBUTION) or ()]
    except PackageNotFoundError:
        remedy = "pip install '.[analyzer]' in the folder of its sources"
        return [Finding("problem", "Sidelight", "runs from a folder, not installed", remedy)]
    found = [Finding("ok", "Sidelight", version(_DISTRIBUTION))]
    core = [each for each in required if each.marker is None]
    found.append(_of(core, "core", "messages, recordings", needed=True))
    for extra, purpose in _EXTRAS.items():
        own = [each for each in required if _belongs(each, extra)]
        found.append(_of(own, extra, purpose, needed=extra == _NEEDED))
    return found


def check_page() -> Finding:
    """Whether the page can be served."""
    try:
        check_built()
    except ConfigurationError as error:
        return Finding("note", "page", "cannot be served", str(error))
    return Finding("ok", "page", "its scripts are built")


def _belongs(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    only = marker is not None and not marker.evaluate({"extra": ""})
    return only and marker is not None and marker.evaluate({"extra": extra})


def _of(required: list[Requirement], extra: str, purpose: str, *, needed: bool) -> Finding:
    wrong = [words for each in required if each.name != _DISTRIBUTION and (words := _wrong(each))]
    if not wrong:
        return Finding("ok", f"[{extra}]", f"installed ({purpose})")
    name = _DISTRIBUTION if extra == "core" else f"{_DISTRIBUTION}[{extra}]"
    words = f"not usable ({purpose}): {', '.join(wrong)}"
    return Finding("problem" if needed else "note", f"[{extra}]", words, f"pip install '{name}'")


def _wrong(requirement: Requirement) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} is {found}, {requirement.specifier} is needed"
