"""The live stream: what its viewers are told as a real store commits, ends, goes and comes back."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from analyzer_service.commit.database import run_database
from analyzer_service.commit.reader import RunReader
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.watching.live import Watchers, news_of
from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.sinks.runs import RunWriter, write_run

LIMIT_S = 10.0


class Viewer:
    """One who watches: what it is told next."""

    def __init__(self, watchers: Watchers, *runs: str, named: bool = False) -> None:
        self._events = news_of(watchers, runs, named=named)

    async def next(self) -> tuple[str, dict[str, Any]]:
        event = await asyncio.wait_for(anext(self._events), LIMIT_S)
        assert event.event is not None
        return event.event, json.loads(event.data)

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state that is `true`; none must be skipped to see it, some may be."""
        while True:
            event, content = await self.next()
            if event == "state" and true(content):
                return content

    async def close(self) -> None:
        await self._events.aclose()


def watching(root: Path, look: Callable[[Watchers], Awaitable[None]]) -> None:
    """Run `look`; afterwards no watcher may be left."""

    async def run() -> None:
        watchers = Watchers(RunFolders(root))
        await look(watchers)
        assert len(watchers) == 0

    asyncio.run(run())


def test_ten_viewers_are_told_at_once_and_of_each_commit(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")
    run.batch(1)

    async def look(watchers: Watchers) -> None:
        viewers = [Viewer(watchers, "a") for _ in range(10)]
        for viewer in viewers:
            event, state = await viewer.next()
            assert event == "state"
            assert (state["released"], state["rows"]) == (1, {"train": 1, "val": 0})
        assert len(watchers) == 1
        run.batch(2)
        run.batch(1, phase="val")
        run.epoch(1)
        for viewer in viewers:
            state = await viewer.until(lambda state: bool(state["epochs"] == 1))
            assert (state["released"], state["rows"]) == (3, {"train": 2, "val": 1})
            await viewer.close()

    watching(tmp_path, look)
    run.close()


def test_a_slow_viewer_gets_the_latest_state_and_no_queue(tmp_path: Path) -> None:
    run = RunWriter(tmp_path / "auto_analysis_a")

    async def look(watchers: Watchers) -> None:
        slow, quick = Viewer(watchers, "a"), Viewer(watchers, "a")
        await slow.next()
        for number in range(5):
            run.batch(number + 1)
            await quick.until(lambda state, n=number: bool(state["released"] == n + 1))
        _, state = await slow.next()
        assert state["released"] == 5
        await slow.close()
        await quick.close()

    watching(tmp_path, look)
    run.close()


def test_a_finished_run_that_is_taken_up_again_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "auto_analysis_a"
    run = RunWriter(folder)
    run.batch(1)
    run.end()
    run.close()
    wal = folder / "metrics.sqlite-wal"
    assert not wal.exists()

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a")
        _, state = await viewer.next()
        assert (state["status"], state["released"]) == ("finished", 1)
        assert not wal.exists()
        again = RunWriter(folder, incarnation=2, resumed_from_step=1)
        again.batch(1)
        state = await viewer.until(lambda state: bool(state["released"] == 2))
        again.close()
        await viewer.close()

    watching(tmp_path, look)


def test_a_run_that_ends_while_it_is_watched_is_whole_in_its_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "auto_analysis_a"
    run = RunWriter(folder)
    run.batch(1)

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a")
        await viewer.next()
        run.end()
        run.close()
        await viewer.until(lambda state: bool(state["status"] == "finished"))
        copied = tmp_path / "copied"
        copied.mkdir()
        shutil.copy(run_database(folder), copied)
        with RunReader(copied, unchanged=True) as reader:
            assert (reader.state().status, reader.state().released) == ("finished", 1)
        await viewer.close()

    watching(tmp_path, look)


def test_a_run_that_is_deleted_is_gone_until_another_comes(tmp_path: Path) -> None:
    folder = tmp_path / "auto_analysis_a"
    write_run(folder).close()

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a")
        assert (await viewer.next())[0] == "state"
        shutil.rmtree(folder)
        event, content = await viewer.next()
        assert event == "gone"
        assert "moved or deleted" in content["error"]
        other = RunWriter(folder)
        state = await viewer.until(lambda state: bool(state["status"]))
        assert state["released"] == 0
        other.close()
        await viewer.close()

    watching(tmp_path, look)


@pytest.mark.parametrize(
    ("number", "said"), [(0, "is being made"), (99, "has schema 99")], ids=["half", "newer"]
)
def test_a_database_that_cannot_be_read_is_said_so(tmp_path: Path, number: int, said: str) -> None:
    folder = tmp_path / "auto_analysis_a"
    folder.mkdir()
    with closing(sqlite3.connect(run_database(folder))) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("CREATE TABLE t (x)")

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a")
        event, content = await viewer.next()
        assert event == "gone"
        assert said in content["error"]
        await viewer.close()

    watching(tmp_path, look)


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    folder = tmp_path / "auto_analysis_a"
    folder.mkdir()
    run_database(folder).write_bytes(b"no database at all" * 100)

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a")
        event, content = await viewer.next()
        assert (event, "not readable" in content["error"]) == ("gone", True)
        await viewer.close()

    watching(tmp_path, look)


def test_several_runs_come_on_one_connection_each_with_its_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = RunWriter(tmp_path / f"auto_analysis_{name}")
        run.batch(1)
        run.close()

    async def look(watchers: Watchers) -> None:
        viewer = Viewer(watchers, "a", "b", "missing", named=True)
        told = [await viewer.next() for _ in range(3)]
        assert {(event, content["run"]) for event, content in told} == {
            ("state", "a"),
            ("state", "b"),
            ("gone", "missing"),
        }
        await viewer.close()

    watching(tmp_path, look)


def test_the_stream_speaks_http_and_leaves_the_folder_as_it_is(
    tmp_path: Path, serve: Callable[..., Served]
) -> None:
    folder = tmp_path / "auto_analysis_a"
    write_run(folder).close()
    before = sorted(path.name for path in folder.rglob("*"))
    served = serve()
    with httpx2.stream("GET", f"{served.url}api/runs/a/live") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in response.headers
        lines = response.iter_lines()
        event = next(line for line in lines if line.startswith("event: "))
        data = next(line for line in lines if line.startswith("data: "))
    assert event == "event: state"
    assert json.loads(data.removeprefix("data: "))["status"] == "running"
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert httpx2.get(f"{served.url}api/live").status_code == 400
