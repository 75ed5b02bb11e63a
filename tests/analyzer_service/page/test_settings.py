from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from analyzer_service.page import settings
from analyzer_service.page.settings import check_built, claim, page_settings
from shared.errors import ConfigurationError


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "uvicorn" else ModuleSpec(name, None)

    monkeypatch.setattr(settings, "find_spec", find)
    with pytest.raises(ConfigurationError, match=r"needs uvicorn: pip install 'sidelight\[page\]'"):
        check_built()


def test_scripts_that_were_not_built_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "STATIC", tmp_path)
    with pytest.raises(ConfigurationError, match="the page's scripts were not built"):
        check_built()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    given = page_settings(tmp_path / "no", "127.0.0.1:0", option="--bind")
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        claim(given)
