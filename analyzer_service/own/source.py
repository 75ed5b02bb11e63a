"""A class of the user's, found by its name in the folder that the analyzer was started in.

Only worker processes import it: whatever it does as it is imported, the analyzer goes on.
"""

import hashlib
import importlib
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from analyzer_service.own.hooks import HOOKS, Hooked, check_hook
from analyzer_service.own.wording import described
from shared.errors import ConfigurationError

_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class OwnSource:
    """Which class analyzes, and of which source.

    Attributes
    ----------
    name : str
        ``module:Class``.
    folder : str
        Where the module is looked for, before anywhere else.
    sha256 : str
        Of the module's file; of other files that it imports nothing is known.
    """

    name: str
    folder: str
    sha256: str

    @property
    def identity(self) -> str:
        """Tells two sources apart, wherever they lie."""
        return f"{self.name}@{self.sha256[:16]}"


def check_name(name: str) -> str:
    """`name`, if it reads ``module:Class``; raises `ConfigurationError` if not."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"--analyzer {name}: give MODULE:CLASS, as my_module:MyAnalyzer for my_module.py here"
        )
    return name


def examine(name: str, folder: str) -> OwnSource | str:
    """Import, make and look at a class; says in one line what is wrong with it, if anything is."""
    try:
        kind = _find(name, folder)
        _check_kind(kind, name)
        analyzer = kind()
        for hook in HOOKS:
            check_hook(getattr(analyzer, hook))
    except ConfigurationError as error:
        return f"--analyzer {name}: {error}"
    except (Exception, SystemExit) as error:
        return f"--analyzer {name}: {described(error, folder)}"
    return OwnSource(name, folder, _hash_of(kind))


@lru_cache(maxsize=4)
def load(source: OwnSource) -> Hooked:
    """The analyzer of `source`, made once in a process.

    Raises
    ------
    ConfigurationError
        If the module is not what it was when the run began with it; and whatever it raises.
    """
    kind = _find(source.name, source.folder)
    if _hash_of(kind) != source.sha256:
        raise ConfigurationError(
            f"{source.name} has changed since the analyzer was started: start it again"
        )
    analyzer: Hooked = kind()
    return analyzer


def _find(name: str, folder: str) -> Any:
    module, _, attribute = name.partition(":")
    found = _import(module, folder)
    kind = getattr(found, attribute, None)
    if kind is None:
        raise ConfigurationError(f"there is no {attribute} in {_file_of(found)}")
    return kind


def _import(name: str, folder: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.append(folder)  # behind everything: nothing there may hide a module of ours
    importlib.invalidate_caches()
    top = name.partition(".")[0]
    here = PathFinder.find_spec(top, [folder])
    if here is not None and top in sys.modules:
        taken = sys.modules[top].__spec__
        if taken is None or taken.origin != here.origin:
            raise ConfigurationError(f"the name {top} is taken by another module: rename the file")
    elif here is not None and here.loader is not None:
        module = sys.modules[top] = module_from_spec(here)
        try:
            here.loader.exec_module(module)
        except BaseException:
            del sys.modules[top]
            raise
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a module that theirs needs
        raise ConfigurationError(f"there is no module {name} in {folder}") from None


def _check_kind(kind: Any, name: str) -> None:
    from analyzer_service.own.analyzer import AutomaticAnalyzer

    if not (isinstance(kind, type) and issubclass(kind, AutomaticAnalyzer)):
        raise ConfigurationError(
            f"{name.partition(':')[2]} is no subclass of analyzer_service.AutomaticAnalyzer"
        )
    if all(getattr(kind, hook) is getattr(AutomaticAnalyzer, hook) for hook in HOOKS):
        raise ConfigurationError(f"{kind.__name__} does not override {HOOKS[0]}")


def _hash_of(kind: type) -> str:
    return hashlib.sha256(Path(_file_of(sys.modules[kind.__module__])).read_bytes()).hexdigest()


def _file_of(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)
