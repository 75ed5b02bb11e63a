"""The file of a run's health: whole lines, never larger than its limit, never anybody's trap."""

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.sinks.health_file import FILE, HealthFile, parse_lines


def line(at: float, event: str | None = None) -> dict[str, Any]:
    return {"at": at, "event": event, "note": "x" * 80}


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return parse_lines((folder / FILE).read_bytes())


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    file = HealthFile(tmp_path)
    for at in (1.0, 2.5, 3.0):
        file.append(line(at))
    assert lines_of(tmp_path) == [line(1.0), line(2.5), line(3.0)]


def test_a_full_file_holds_the_whole_run_the_more_coarsely_the_longer(tmp_path: Path) -> None:
    limit = 10_000
    file = HealthFile(tmp_path, largest_bytes=limit)
    file.append(line(0, "start"))
    for at in range(1, 1000):
        file.append(line(at))
        assert (tmp_path / FILE).stat().st_size <= limit
    times = [each["at"] for each in lines_of(tmp_path)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0, 999)
    assert max(b - a for a, b in pairwise(times)) < 100
    assert not list(tmp_path.glob(".*"))


def test_even_a_file_of_nothing_but_beginnings_stays_small(tmp_path: Path) -> None:
    file = HealthFile(tmp_path, largest_bytes=2000)
    for at in range(200):
        file.append(line(at, "start"))
    assert (tmp_path / FILE).stat().st_size <= 2000
    assert lines_of(tmp_path)[-1]["at"] == 199


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    file = HealthFile(tmp_path)
    file.append(line(1))
    with (tmp_path / FILE).open("ab") as half:
        half.write(b'{"at": 2, "ev')
    file.append(line(3))
    assert [each["at"] for each in lines_of(tmp_path)] == [1, 3]


def test_what_is_no_line_is_left_out() -> None:
    data = b'\n[1]\n{"at": "soon"}\n{"at": NaN}\n\xff\xfe\n{"at": 4}\n{}\n'
    assert parse_lines(data) == [{"at": 4}]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HealthFile(tmp_path / "gone").append(line(1))
    assert not (tmp_path / "gone").exists()


def test_a_link_or_a_pipe_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        HealthFile(tmp_path).append(line(1))
    assert (tmp_path / "elsewhere").read_text() == "mine"
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(OSError, match="No such device"):  # nobody reads: it does not wait
        HealthFile(tmp_path).append(line(1))


def test_only_numbers_that_json_knows_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        HealthFile(tmp_path).append({"at": float("nan")})
    assert not (tmp_path / FILE).exists() or json.loads((tmp_path / FILE).read_text() or "{}") == {}
