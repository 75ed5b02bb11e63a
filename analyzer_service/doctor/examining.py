"""All checks, in the order in which people read them."""

import os
from collections.abc import Sequence
from pathlib import Path

from analyzer_service.doctor import installation, surroundings
from analyzer_service.doctor.findings import Finding
from analyzer_service.page.settings import DEFAULT_PORT


def examine(output_dir: Path, keys: Path | None, strange: Sequence[str] = ()) -> list[Finding]:
    """Look at everything; nothing is left behind. `strange` says which variables mean nothing."""
    return [
        installation.check_python(),
        *installation.check_packages(),
        installation.check_page(),
        *surroundings.check_ports(DEFAULT_PORT),
        surroundings.check_keys(keys),
        surroundings.check_disk(output_dir),
        *(Finding("note", "environment", words, "rename or unset it") for words in strange),
        surroundings.check_processors(),
        surroundings.check_memory(),
        surroundings.check_gpu(),
        surroundings.check_wandb(os.environ, Path.home()),
    ]
