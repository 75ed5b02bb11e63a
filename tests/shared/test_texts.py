"""Texts that no message could hold as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.texts import readable


@given(st.text(st.characters()), st.integers(0, 50))
def test_whatever_comes_is_utf_8_and_no_longer_than_asked(text: str, most: int) -> None:
    said = readable(text, most)
    assert len(said) <= most
    assert said.encode().decode() == said


@pytest.mark.parametrize("text", ["", "Gewebe", "组织 µm"])
def test_what_is_readable_stays(text: str) -> None:
    assert readable(text) == text
