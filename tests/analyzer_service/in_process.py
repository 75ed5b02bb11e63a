"""Commands of the analyzer, run in this process."""

import sys

import pytest

from analyzer_service import cli


def run_in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    code = exit_.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err
