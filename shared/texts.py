"""Texts of any origin, as messages can hold them."""

from typing import Final

MOST_CHARACTERS: Final = 1024


def readable(text: str, most: int = MOST_CHARACTERS) -> str:
    r"""`text` as UTF-8 can say it, cut to `most` characters.

    A file name that is not UTF-8 comes from the system with lone surrogates in it; they are
    written out.

    Examples
    --------
    >>> readable("Gewebe_1.png"), readable("bl\udce4u.png"), readable("x" * 2000) == "x" * 1024
    ('Gewebe_1.png', 'bl\\udce4u.png', True)
    """
    return text[:most].encode("utf-8", "backslashreplace").decode("utf-8")[:most]
