"""What went wrong in code of the user's, on one line, with the place in it."""

import traceback
from typing import Final

from shared.texts import readable

_LONGEST: Final = 400


def described(error: BaseException, folder: str) -> str:
    """The error's type, what it says, and the last line of a file in `folder` that it came by."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception of the user's, which may do anything
        text = "it does not say what"
    words = readable(f"{type(error).__name__}: {text}".removesuffix(": "), _LONGEST)
    places = [
        f"{frame.filename.rpartition('/')[2]}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(f"{folder}/")
    ]
    return f"{words} ({places[-1]})" if places else words
