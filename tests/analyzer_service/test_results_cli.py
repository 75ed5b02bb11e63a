"""The commands about results: what they write and print, and their exit codes."""

import sys
from pathlib import Path

import pytest

from analyzer_service import cli
from tests.analyzer_service.in_process import run_in_process
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write
from tests.analyzer_service.sinks.runs import write_run


def test_export_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "auto_analysis_demo").close()
    out = tmp_path / "rows.csv"
    run = str(tmp_path / "auto_analysis_demo")
    arguments = ["sidelight-analyzer", "export", run, "--to", "csv", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"{out}: 24 rows\n"
    assert len(out.read_text("utf-8").splitlines()) == 25
    code, error = run_in_process(monkeypatch, capsys, "export", run, "--to", "xlsx")
    assert (code, error) == (2, "error: --to xlsx: choose one of csv, parquet, json\n")


def test_report_is_written_of_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    before = run.store.connection.execute("SELECT count(*) FROM jobs").fetchone()
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "report", str(run.folder)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    report = run.folder / "final_summary_report.md"
    page = report.with_suffix(".html")
    assert capsys.readouterr().out.splitlines() == [str(report), str(page)]
    assert "has not ended" in page.read_text("utf-8")
    assert "The run **has not ended**" in report.read_text("utf-8")
    assert run.store.connection.execute("SELECT count(*) FROM jobs").fetchone() == before
    run.close()


def test_compare_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    names = ("demo-20261127-172432", "demo-20261127-173754")
    folders = []
    for name in names:
        write_run(tmp_path / name, run_name=name, config={"lr": len(folders)}).close()
        folders.append(str(tmp_path / name))
    out, page = tmp_path / "compared.md", tmp_path / "compared.html"
    arguments = ["sidelight-analyzer", "compare", *folders, "--md", str(out), "--html", str(page)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "config.lr" in said
    heads = [line for line in said.splitlines() if "over" in line or "−" in line]
    assert any(all(name in line for name in names) for line in heads), "names are not broken"
    assert said.splitlines()[-2:] == [str(page), str(out)]
    assert "config.lr" in page.read_text("utf-8")
    assert out.read_text("utf-8").startswith(f"# Runs compared: {', '.join(names)}")
    code, error = run_in_process(monkeypatch, capsys, "compare", folders[0])
    assert code == 2
    assert "at least two runs" in error


def verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: Path
) -> tuple[int, list[str], str]:
    """Exit code, lines on stdout, and stderr."""
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "verify", str(path)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    said = capsys.readouterr()
    code = exit_.value.code
    return (code if isinstance(code, int) else 0), said.out.splitlines(), said.err


def test_verify_says_by_its_exit_code_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    code, lines, _ = verify(monkeypatch, capsys, file)
    assert (code, lines[-1]) == (0, "sound")
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(file.read_bytes()[:-100])
    code, lines, _ = verify(monkeypatch, capsys, torn)
    assert code == 1
    assert [line for line in lines if line.startswith("fault: ")]
    for path in (tmp_path / "none", tmp_path):
        code, lines, error = verify(monkeypatch, capsys, path)
        assert (code, lines) == (2, [])
        assert error.startswith("error: ")
