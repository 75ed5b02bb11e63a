import doctest

from analyzer_service.verify import findings
from analyzer_service.verify.findings import Findings, numbers


def test_examples_are_true() -> None:
    failed, tried = doctest.testmod(findings)
    assert (failed, tried > 0) == (0, True)


def test_many_ranges_are_cut_short() -> None:
    assert numbers([(i, i) for i in range(1, 30, 2)]).endswith("13, 15 and 7 more ranges")


def test_the_verdict_comes_last() -> None:
    assert Findings(["a"]).lines() == ["a", "sound"]
    assert Findings(["a"], ["b"]).lines() == ["a", "fault: b", "1 fault"]
    assert Findings(faults=["b", "c"]).lines()[-1] == "2 faults"
