import hashlib

import pytest

from analyzer_service.analyses.significance import choose_tiles

IDS = [f"slide-{i % 7}/tile-{i}" for i in range(2000)]


def test_the_choice_is_the_lowest_hashes():
    def digest(tile):
        return hashlib.blake2b(tile.encode(), digest_size=16).hexdigest()

    assert choose_tiles(IDS) == sorted(IDS, key=digest)[:512]


def test_the_choice_on_this_machine_is_that_of_every_other():
    """The order of `printf a | b2sum -l 128` of each (GNU coreutils)."""
    assert choose_tiles(["a", "b", "c", "d", "é"], limit=3) == ["d", "a", "b"]


def test_order_and_repetition_do_not_matter():
    assert choose_tiles([*IDS[::-1], *IDS[:9]]) == choose_tiles(IDS)
    assert choose_tiles(["x", "x", "y"]) in (["x", "y"], ["y", "x"])


def test_it_may_be_chosen_piece_by_piece():
    kept: list[str] = []
    for first in range(0, len(IDS), 300):
        kept = choose_tiles([*kept, *IDS[first : first + 300]])
    assert kept == choose_tiles(IDS)


@pytest.mark.parametrize("limit", [0, 1, 100, 5000])
def test_a_smaller_limit_is_a_beginning(limit):
    assert choose_tiles(IDS, limit=limit) == choose_tiles(IDS, limit=5000)[:limit]


def test_any_text_is_an_id():
    assert len(choose_tiles(["", "\udcff", "組織"])) == 3
