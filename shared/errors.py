"""The errors that Sidelight raises: one small tree.

Say what was expected, what came, and what to do. Fail fast at start; afterwards count and carry on.
"""


class SidelightError(Exception):
    """Base of every error that Sidelight raises on purpose."""


class ConfigurationError(SidelightError):
    """A flag, a path or a setting cannot be used; the message says what to change.

    Command lines print it as one line and exit with code 2.
    """


class ContractError(SidelightError):
    """Bytes that came from outside are not a message of this contract."""


class TransportError(SidelightError):
    """A socket could not be bound or a peer broke the protocol."""


class RecordingError(SidelightError):
    """A recording or journal cannot be written, or is not a recording at all."""


class AnalysisError(SidelightError):
    """An analysis could not be run, or ran past its time limit."""


class SinkError(SidelightError):
    """A result could not be handed to a sink (files, W&B)."""
