"""What a run said as it started, or why this version cannot read it."""

from pydantic import ValidationError

from analyzer_service.commit.reader import RunReader
from analyzer_service.page.answers import PageError
from shared.messages import RunStarted


def started(run: str, reader: RunReader) -> RunStarted:
    """Fixed facts of the latest start of `run`.

    Raises
    ------
    PageError
        409, if nothing was said yet, or by a version that this one does not understand.
    """
    try:
        return reader.started()
    except IndexError:
        raise PageError(
            409, f"{run} holds nothing yet: the analyzer is only making it. Look again in a moment."
        ) from None
    except ValidationError as error:
        raise PageError(
            409, f"{run} cannot be read: it was started by another version of Sidelight."
        ) from error
