"""What is installed: Python, the packages of each extra, the page's scripts."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from typing import Final

from packaging.requirements import Requirement

from analyzer_service.doctor.findings import Finding, Level
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
_HEAVY: Final = "trainer"
"""Not loaded: torch takes long, and says by itself what it lacks."""
_LIMIT_S: Final = 120.0
_LOAD: Final = """
import importlib, json, sys
failed = {}
for name in sys.argv[1:]:
    print(name, file=sys.stderr, flush=True)
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = " ".join(f"{type(error).__name__}: {error}".split())
print(json.dumps(failed))
"""
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
    core = [each for each in required if each.marker is None]
    extras = {extra: [each for each in required if _belongs(each, extra)] for extra in _EXTRAS}
    loaded = [*core, *(each for extra in extras if extra != _HEAVY for each in extras[extra])]
    failed = check_loading({each.name for each in loaded})
    found = [Finding("ok", "Sidelight", version(_DISTRIBUTION))]
    found.append(_of(core, "core", "messages, recordings", failed))
    for extra, purpose in _EXTRAS.items():
        found.append(_of(extras[extra], extra, purpose, failed))
    return found


def check_loading(distributions: set[str]) -> dict[str, str]:
    """Which of the distributions that are installed cannot be loaded, and why.

    In a process of its own: a library that does not fit this machine may end it.
    """
    modules = {
        module: name
        for module, names in packages_distributions().items()
        for name in names
        if name in distributions and module.isidentifier() and not module.startswith("_")
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, *sorted(modules)],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        failed = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        return {"python": str(error)}
    if failed is None:
        tried = [line for line in done.stderr.splitlines() if line in modules]
        failed = {tried[-1]: f"it ends Python (exit code {done.returncode})"} if tried else {}
    return {modules[module]: f"{module}: {why}" for module, why in failed.items()}


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


def _of(
    required: list[Requirement], extra: str, purpose: str, failed: Mapping[str, str]
) -> Finding:
    others = [each for each in required if each.name != _DISTRIBUTION]
    wrong = [words for each in others if (words := _wrong(each, failed))]
    if not wrong:
        return Finding("ok", f"[{extra}]", f"installed ({purpose})")
    name = _DISTRIBUTION if extra == "core" else f"{_DISTRIBUTION}[{extra}]"
    words = f"not usable ({purpose}): {', '.join(wrong)}"
    level: Level = "problem" if extra in ("core", _NEEDED) else "note"
    remedy = f"pip install '{name}'"
    if any(each.name in failed for each in others):  # it is there: what it needs is not
        remedy += "; where it cannot be loaded: install what it lacks, or --force-reinstall it"
    return Finding(level, f"[{extra}]", words, remedy)


def _wrong(requirement: Requirement, failed: Mapping[str, str]) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(found, prereleases=True):
        why = failed.get(requirement.name)
        return f"{requirement.name} {found} cannot be loaded ({why})" if why else None
    return f"{requirement.name} is {found}, {requirement.specifier} is needed"
