"""The engine: the same from wherever it is taken up, several ranks, several starts."""

import math
from dataclasses import replace

import pytest

from analyzer_service.alerts.engine import AlertEngine, Change
from analyzer_service.alerts.reading import SeenRow
from analyzer_service.alerts.settings import AlertSettings
from tests.analyzer_service.alerts.series import LAYERS, between, healthy, said, watch


def grows(step: int, values: dict[str, float]) -> dict[str, float]:
    return {"memory_mb": values["memory_mb"] + 2.0 * (step - 100)}


def broken(step: int, values: dict[str, float]) -> dict[str, float]:
    late = between(300, 420, {"loss": math.nan, "data_time_ms": 5000.0})
    return between(100, 500, grows)(step, values) | late(step, values)


def rows_of(count: int = 700) -> list[SeenRow]:
    return list(healthy(count, fault=broken))


def test_taken_up_anywhere_it_says_what_it_would_have_said() -> None:
    rows = rows_of()
    whole = watch(rows)
    expected = [_told(change) for change in _feed_all(rows)]
    assert {name for _, name in said(whole)} == {"memory_growth", "not_finite", "data_wait"}
    for at in (1, 49, 200, 305, 430, 650):
        first, second = AlertEngine(AlertSettings()), AlertEngine(AlertSettings())
        changes = _feed(first, rows[:at])
        second.restore(first.dump())
        assert second.dump() == first.dump()
        changes += _feed(second, rows[at:])
        assert [_told(change) for change in changes] == expected


def test_open_episodes_have_their_peak_and_the_last_row_that_was_bad() -> None:
    engine = AlertEngine(AlertSettings())
    _feed(engine, [row for row in rows_of() if row.step <= 400])
    watches = {watch.rule.name: watch for _, watch in engine.open()}
    assert set(watches) == {"memory_growth", "not_finite", "data_wait"}
    assert watches["not_finite"].last[1] == 400
    assert watches["memory_growth"].peak > 300


def test_another_start_begins_anew_with_what_measures_the_process() -> None:
    rows = [row if row.step <= 400 else replace(row, start=2) for row in rows_of(900)]
    changes = watch(rows)
    cleared = next(c for c in changes if c.how == "cleared" and c.name == "memory_growth")
    assert cleared.row.step == 401
    finite = next(c for c in changes if c.how == "cleared" and c.name == "not_finite")
    assert finite.row.step == 440, "what is learned goes on"


def test_a_pause_between_two_starts_is_no_stall() -> None:
    rows = list(healthy(400))
    later = [
        row if row.step <= 200 else replace(row, start=2, at_s=row.at_s + 3600) for row in rows
    ]
    assert watch(later) == []
    assert said(watch([replace(row, start=1) for row in later]))[0] == ("fired", "stalled")


def test_of_other_ranks_only_what_each_of_them_can_have() -> None:
    fault = between(300, 420, {"loss": math.inf, "ssim": 0.1, "samples": 0.0})
    rows = [replace(row, rank=3) for row in healthy(700, fault=fault)]
    changes = watch(rows)
    assert {change.name for change in changes} == {"not_finite", "frames_dropped"}
    assert {change.row.rank for change in changes} == {3}


def test_ranks_side_by_side_do_not_mix() -> None:
    faulty = [replace(row, rank=1) for row in rows_of(600)]
    both = [row for pair in zip(healthy(600), faulty, strict=True) for row in pair]
    alone = [(c.how, c.name, c.row.step) for c in watch(faulty)]
    assert [(c.how, c.name, c.row.step) for c in watch(both)] == alone


def test_a_state_of_other_rules_is_refused() -> None:
    engine = AlertEngine(AlertSettings(off=("stalled",)))
    _feed(engine, rows_of(10))
    with pytest.raises(KeyError):
        AlertEngine(AlertSettings()).restore(engine.dump())


def test_its_memory_does_not_grow() -> None:
    engine = AlertEngine(AlertSettings())
    sizes = []
    for row in healthy(2400):
        engine.row(row, LAYERS)
        if row.step in (1200, 2400) and row.phase == "train":
            sizes.append(len(engine.dump()))
    assert sizes[1] < 1.2 * sizes[0], "traces of the slowest growth of memory still fill"
    assert sizes[1] < 64 << 10


def _feed(engine: AlertEngine, rows: list[SeenRow]) -> list[Change]:
    return [change for row in rows for change in engine.row(row, LAYERS)]


def _feed_all(rows: list[SeenRow]) -> list[Change]:
    return _feed(AlertEngine(AlertSettings()), rows)


def _told(change: Change) -> tuple[object, ...]:
    return change.how, change.name, change.row.release, change.since, change.peak, change.sentence
