"""Settings of any size and kind, as the run's first message holds them."""

from typing import Any

import pytest

from shared.codec import decode, encode
from tests.builders import make_run_started
from trainer.capture.config import plain


def sent(config: dict[str, Any]) -> dict[str, Any]:
    """`config` as it arrives."""
    arrived: dict[str, Any] = decode(encode(make_run_started(config=plain(config)))).config  # type: ignore[union-attr]
    return arrived


def test_plain_values_arrive_as_they_are() -> None:
    config = {"rate": 0.1, "sizes": [1, 2], "deep": {"a": None, "b": True}, "name": "组织"}
    assert sent(config) == config


@pytest.mark.parametrize(
    "config",
    [
        {"texts": ["x" * 2000] * 1000},
        {f"list {i}": [f"/data/slides/{j:08d}.png" for j in range(1000)] for i in range(60)},
        {"folds": [[[0.5] * 200] * 200] * 10},
        {f"setting {i}": "x" * 90 for i in range(20_000)},
        {"long": "x" * 5_000_000},
    ],
    ids=["texts", "lists", "nested", "many settings", "one text"],
)
def test_settings_larger_than_a_message_are_cut_not_lost(config: dict[str, Any]) -> None:
    assert sent(config)


def test_what_is_small_beside_it_stays() -> None:
    config = {"rate": 0.1, "files": ["x" * 5000] * 1000, "seed": 7}
    arrived = sent(config)
    assert (arrived["rate"], arrived["seed"]) == (0.1, 7)
    assert len(arrived["files"]) == 100
    assert arrived["files"][0] == "x" * 1000


class Wordless:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_object_that_cannot_be_shown_is_named() -> None:
    assert sent({"a": Wordless(), "b": [Wordless()]}) == {"a": "<Wordless>", "b": ["<Wordless>"]}


def test_a_file_name_that_is_not_utf_8_is_written_out() -> None:
    assert sent({"data": "/tiles/bl\udce4u", "\udce4": 1}) == {
        "data": "/tiles/bl\\udce4u",
        "\\udce4": 1,
    }


def test_what_holds_itself_ends_somewhere() -> None:
    config: dict[str, Any] = {"a": 1}
    config["itself"] = config
    assert sent(config)["itself"]["a"] == 1
