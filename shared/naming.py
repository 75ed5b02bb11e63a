"""Names that both sides agree on: run names, run folders, metric keys."""

import re

from shared.errors import ConfigurationError

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_LAYER_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")

RUN_PREFIX = "auto_analysis_"
"""What a run's folder is called, before the run's name."""


def check_run_name(name: str) -> str:
    """Return `name` if it can be part of a file name, else raise `ConfigurationError`.

    A run name becomes a folder (``auto_analysis_{name}``), so it may hold only letters,
    digits, ``.``, ``_`` and ``-``, must start with a letter or digit, and has at most
    120 characters.
    """
    if not _PLAIN_NAME.fullmatch(name):
        raise ConfigurationError(
            f"run name {name[:200]!r} is not a plain file name: use letters, digits, '.', '_' "
            "and '-' only, starting with a letter or digit, at most 120 characters"
        )
    return name


def is_layer_name(name: str) -> bool:
    """Tell whether `name` can be part of a metric key (letters, digits, ``_``)."""
    return _LAYER_NAME.fullmatch(name) is not None


def run_folder_name(run_name: str) -> str:
    """Name of the folder that the analyzer writes for a run.

    Examples
    --------
    >>> run_folder_name("demo")
    'auto_analysis_demo'
    """
    return f"{RUN_PREFIX}{check_run_name(run_name)}"


def attention_key(layer: str, metric: str) -> str:
    """Key of one metric of one layer in a row, without its phase prefix.

    Examples
    --------
    >>> attention_key("bam_384", "attention_entropy")
    'attention_bam_384_attention_entropy'
    """
    return f"attention_{layer}_{metric}"
