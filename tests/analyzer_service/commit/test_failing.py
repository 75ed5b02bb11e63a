from pathlib import Path

import pytest

from analyzer_service.commit.failing import Failures
from analyzer_service.commit.store import Store


def test_all_are_counted_and_fewer_and_fewer_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    failures = Failures(store)
    with store.transaction():
        for number in range(1, 101):
            failures.count("analysis", f"frame {number} failed")
        failures.count("unexplained_frames", "frames 1 to 1000 never came", times=1000)
        failures.count("unexplained_frames", "frame 1001 never came")
    rows = store.connection.execute("SELECT kind, count, last FROM failures ORDER BY kind")
    assert rows.fetchall() == [
        ("analysis", 100, "frame 100 failed"),
        ("unexplained_frames", 1001, "frame 1001 never came"),
    ]
    store.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "frame 1 failed",
        *(f"frame {n} failed ({n - 1} like it before)" for n in (2, 4, 8, 16, 32, 64)),
        "frames 1 to 1000 never came",
    ]
