from trainer.publish.patience import Patience


def over_at_s(patience: Patience, since_s: float) -> float:
    """First tenth of a second, from `since_s` on, at which it is over."""
    tenths = next(each for each in range(10_000) if patience.is_over(since_s + each / 10 - 0.01))
    return tenths / 10


def test_nothing_is_lost_before_anything_was_sent() -> None:
    assert not Patience().is_over(1e9)


def test_it_doubles_in_vain_and_has_an_end() -> None:
    patience = Patience()
    patience.begin(0.0)
    limits = []
    for _ in range(8):
        limits.append(over_at_s(patience, 0.0))
        patience.in_vain(0.0)
    assert limits == [5.1, 10.1, 20.1, 40.1, 80.1, 160.1, 300.1, 300.1]


def test_a_link_is_given_twice_the_time_that_it_needed_last() -> None:
    patience = Patience()
    patience.begin(0.0)
    patience.confirmed(8.0)
    assert over_at_s(patience, 8.0) == 16.1
    patience.confirmed(9.0)
    assert over_at_s(patience, 9.0) == 5.1, "as fast as at first"
