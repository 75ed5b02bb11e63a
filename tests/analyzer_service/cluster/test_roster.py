"""Which workers of a cluster are given chunks."""

from typing import Any

from analyzer_service.cluster.roster import SILENT_S, Roster, keys_of


def about(threads: int, last_seen: float, folder: str = "a") -> dict[str, Any]:
    return {"nthreads": threads, "last_seen": last_seen, "local_directory": folder, "name": "x"}


def test_a_worker_counts_once_it_is_known_to_fit() -> None:
    roster = Roster()
    assert roster.see({"one": about(2, 1.0), "two": about(3, 1.0)}, 0.0) == ["one", "two"]
    assert (roster.threads, roster.only) == (0, None)
    roster.note("one", fits=True)
    roster.note("two", fits=False)
    roster.note("gone", fits=True)
    assert (roster.threads, roster.only) == (2, ["one"])
    assert roster.see({"one": about(2, 2.0), "two": about(3, 2.0)}, 1.0) == []
    assert roster.see({"one": about(4, 2.0)}, 1.0) == []
    assert (roster.threads, roster.only) == (4, None)
    assert roster.see({}, 1.0) == []
    assert (roster.threads, roster.only) == (0, None)


def test_one_that_starts_again_at_the_same_address_is_compared_again() -> None:
    roster = Roster()
    roster.see({"one": about(2, 1.0)}, 0.0)
    roster.note("one", fits=True)
    assert roster.see({"one": about(2, 1.5, folder="b")}, 1.0) == ["one"]
    assert roster.threads == 0


def test_silence_is_told_by_this_clock_alone() -> None:
    roster = Roster()
    for now, one, two in ((0.0, 5e9, 7.0), (SILENT_S, 5e9 + 1, 7.0)):  # of a clock far away
        roster.see({"one": about(1, one), "two": about(1, two)}, now)
        roster.note("one", fits=True)
        roster.note("two", fits=True)
    assert (roster.threads, roster.silent) == (2, [])
    roster.see({"one": about(1, 5e9 + 2), "two": about(1, 7.0)}, SILENT_S + 0.1)
    assert (roster.threads, roster.silent, roster.only) == (1, ["two"], ["one"])
    roster.see({"one": about(1, 5e9 + 3), "two": about(1, 8.0)}, SILENT_S + 1)
    assert (roster.threads, roster.silent, roster.only) == (2, [], None)


def test_our_tasks_are_told_from_those_of_others() -> None:
    processing = {"one": ["ours-1", "theirs-1", ("ours", 3)], "two": ["ours-22"]}
    assert keys_of(processing, "ours-") == ["ours-1", "ours-22"]
