from tests.analyzer_service.metrics.boards import make_board


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_turns_is_no_trouble() -> None:
    assert make_board().troubles() == []


def test_a_loop_that_stands_still_is_a_trouble_until_it_turns_again() -> None:
    board = make_board()
    clock = Clock()
    board.clock = clock
    board.turned()
    clock.now += 5.0
    assert board.troubles() == []
    clock.now += 2.0
    assert board.troubles() == ["the ingest loop has stood still for 7 s"]
    board.turned()
    assert board.troubles() == []
