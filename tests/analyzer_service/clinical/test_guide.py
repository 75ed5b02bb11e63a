"""The guide's calls, and the command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import analyzer_service
from analyzer_service import (
    cli,
    create_pathologist_annotation_interface,
    generate_clinical_validation_report,
)
from shared.errors import ConfigurationError
from tests.analyzer_service.clinical.runs import TileRun, annotate, gate_of, make_tiles, spot

NewRun = Callable[..., TileRun]


def a_run(run: TileRun, annotations: Path) -> None:
    tiles, mark = make_tiles(5), spot(4, 4)
    gates = np.stack([gate_of(mark, seed=i) for i in range(5)])
    run.keep(tiles, {"bam_384": gates, "bam_16": gates})
    for tile in tiles:
        annotate(annotations, tile, {"tumor": mark})


def test_the_report_of_what_names_a_run(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run()
    a_run(run, run.folder / "annotations")
    for named in (
        run.folder,
        {"run_folder": str(run.folder)},
        SimpleNamespace(save_dir=run.folder),
    ):
        report = generate_clinical_validation_report(named)
        assert report.markdown == run.folder / "clinical_validation_report.md"
        assert report.json.is_file()
        assert report.content["run"]["tiles_annotated"] == 5
        report.markdown.unlink()
    with pytest.raises(ConfigurationError, match="run_folder or folder or save_dir"):
        generate_clinical_validation_report({"loss": 0.1})
    with pytest.raises(ConfigurationError, match="is no folder"):
        generate_clinical_validation_report(run.folder, tmp_path / "none")


def test_the_task_list_says_who_reads_and_what_all_were_asked_for(new_run: NewRun) -> None:
    run, (tile,) = new_run(), make_tiles(1)
    run.keep([tile], {"bam_384": gate_of(spot(4, 4))[None]})
    create_pathologist_annotation_interface(
        run.folder, readers=["anna", "ben"], classes=["mitosis", "tumor"]
    )
    folder = run.folder / "annotations"
    annotate(folder / "anna", tile, {"mitosis": spot(4, 4)})
    annotate(folder / "ben", tile, {})
    report = generate_clinical_validation_report(run.folder)
    pair = next(one for one in report.content["agreement"] if one["readers"])
    assert (pair["class"], pair["readers"]) == ("mitosis", ["anna", "ben"])
    assert pair["scores"]["dice"]["mean"] == 0.0


def test_the_package_stays_light_until_it_is_asked() -> None:
    code = (
        "import sys, analyzer_service\n"
        "assert not [m for m in sys.modules if m.startswith('analyzer_service.')]\n"
        "assert 'numpy' not in sys.modules\n"
        "analyzer_service.generate_clinical_validation_report"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        analyzer_service.nothing  # noqa: B018


def test_the_command_prints_a_short_table(
    new_run: NewRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = new_run()
    a_run(run, tmp_path / "a" / "anna")
    (tmp_path / "a" / "anna" / "other.geojson").write_text("[]")
    command = ["validate", str(run.folder), "--annotations", str(tmp_path / "a")]
    more = ["--reader", "anna", "--class", "tumor"]
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", *command, *more])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "demo: 5 annotated tiles of 5 that the run kept"
    cells = [[cell.strip() for cell in line.split("|")[1:5]] for line in said if "bam_" in line]
    assert cells == [["anna", "tumor", "bam_384", "5"], ["anna", "tumor", "bam_16", "5"]]
    assert said[-2].startswith("1 files of no tile that the run kept")
    assert "as evidence to judge" in said[-1]
    assert (run.folder / "clinical_validation_report.json").is_file()


def test_the_command_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["validate", str(tmp_path), "--annotations", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", *command])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
