"""The doctor where even the command line cannot be loaded: it needs the standard library alone."""

import sys


def examine_broken(error: ImportError) -> int:
    """Say on standard error what is not installed or cannot be loaded; give an exit code."""
    print(f"error: the installation is broken: {_in_words(error)}", file=sys.stderr)
    if sys.argv[1:2] != ["doctor"]:
        print("python -m analyzer_service doctor says what to do", file=sys.stderr)
        return 2
    try:
        from analyzer_service.doctor import installation
    except ImportError:  # what reads versions is missing itself
        print("→ pip install 'sidelight[analyzer]'", file=sys.stderr)
        return 1
    for finding in (installation.check_python(), *installation.check_packages()):
        for line in finding.lines():
            print(line)
    print("all else is looked at once this is mended")
    return 1


def _in_words(error: ImportError) -> str:
    """One line; a missing library of the system takes several."""
    return " ".join(f"{type(error).__name__}: {error}".split())
