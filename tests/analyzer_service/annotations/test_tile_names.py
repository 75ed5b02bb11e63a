"""Names of files of tiles, and whose a file is."""

import doctest

import pytest

from analyzer_service.annotations import tile_names
from analyzer_service.annotations.tile_names import names_of, tile_name
from shared.messages import Sample


def test_the_examples() -> None:
    assert doctest.testmod(tile_names).failed == 0


@pytest.mark.parametrize("ids", [("a/b", "a_b", "a:b", "a b"), ("x" * 200, "x" * 201), ("", "/")])
def test_names_are_safe_and_differ_where_ids_do(ids: tuple[str, ...]) -> None:
    names = [tile_name(id_) for id_ in ids]
    assert len(set(names)) == len(ids)
    for name in names:
        assert len(name) < 128
        assert name.isascii()
        assert not set(name) & set('/\\:*?"<>| ')
        assert tile_name(name) == name or len(name) > 100 or name.startswith("-")


SAMPLES = [
    Sample(id="s0/a.png:0:0", source="s0/a.png", slide="s0", row=0, col=0),
    Sample(id="s1/a.png:0:0", source="s1/a.png", slide="s1", row=0, col=0),
    Sample(id="s1/b.png:0:0", source="s1/b.png", slide="s1", row=0, col=0),
    Sample(id="tile-7", source="CMU-1.svs", slide="CMU-1", row=8, col=0),
    Sample(id="plain"),
]


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("tile-7", "tile", {"tile-7"}),
        ("deep/below/tile-7.png", "tile", {"tile-7"}),
        (tile_name("s0/a.png:0:0"), "tile", {"s0/a.png:0:0"}),
        ("s0/a.png", "image", {"s0/a.png"}),
        ("s0/a", "image", {"s0/a.png"}),
        ("b", "image", {"s1/b.png"}),
        ("a.png", "image", {"s0/a.png", "s1/a.png"}),  # ambiguous
        ("CMU-1", "image", {"CMU-1.svs"}),
        ("s0", "image", {"s0/a.png"}),  # a slide of one image
        ("s1", "tile", set()),  # a slide of two: whose pixels?
        ("other", "tile", set()),
        ("plain", "tile", {"plain"}),
    ],
)
def test_whose_a_file_is(name: str, kind: str, found: set[str]) -> None:
    assert names_of(SAMPLES).find(name) == (kind, found)


def test_a_name_of_both_is_the_tiles() -> None:
    samples = [Sample(id="a", source="a.png", row=0, col=0), Sample(id="b", source="a.png")]
    assert names_of(samples).find("a") == ("tile", {"a"})
    assert names_of(samples).find("a.png") == ("image", {"a.png"})
