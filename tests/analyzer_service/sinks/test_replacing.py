import os
from pathlib import Path

import pytest

from analyzer_service.sinks.replacing import replacing
from shared.errors import SinkError


def test_the_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    with replacing(path) as file:
        file.write("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def _write_half(path: Path) -> None:
    with replacing(path) as file:
        file.write("half")
        raise ValueError("stop")


def test_after_an_error_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    with pytest.raises(ValueError, match="stop"):
        _write_half(path)

    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_folder_is_a_sink_error(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match=r"cannot write .*a\.json: No such file"),
        replacing(tmp_path / "none" / "a.json"),
    ):
        pass


def test_a_pipe_or_a_folder_is_not_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(SinkError, match="no regular file"), replacing(path):
            pytest.fail("nothing is begun")
    assert pipe.is_fifo()
    assert folder.is_dir()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "pipe"]
