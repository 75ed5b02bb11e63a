"""The contract between trainer and analyzer: messages, codec, transport, recording, errors.

Nothing here imports ``trainer``, ``analyzer_service`` or torch.
"""

__version__ = "0.1.0"
