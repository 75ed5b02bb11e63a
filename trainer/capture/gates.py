"""Forward hooks that keep what a watched layer returned in the step's own forward pass."""

import difflib
import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from shared.errors import ConfigurationError
from shared.messages import LayerKind
from trainer.capture.held import Held, hold
from trainer.capture.values import MapForm, MapTensors

log = logging.getLogger(__name__)


class Tap:
    """Watches one layer; the last call before `take` counts.

    A module with the modules ``channel_attention`` and ``spatial_attention`` is a BAM: its
    two branches are kept, which hold the whole gate in C + H*W numbers. Of any other module
    the output is kept.

    Parameters
    ----------
    layer : str
        Name in messages and metric keys.
    module : nn.Module
        The layer.
    kind : {"attention", "activation"}
        What its output is.
    samples : int
        How many samples of a batch are needed.
    """

    def __init__(self, layer: str, module: nn.Module, kind: LayerKind, samples: int) -> None:
        self.layer = layer
        self._samples = samples
        self._copies = False
        self._complained = False
        branches = _branches(module) if kind == "attention" else ()
        self._form: MapForm = "bam" if branches else _FORMS[kind]
        watched = branches or (module,)
        self._held: list[Held | None] = [None] * len(watched)
        self._handles: list[RemovableHandle] = [
            part.register_forward_hook(_Keeper(self, i).keep) for i, part in enumerate(watched)
        ]

    def take(self) -> MapTensors | None:
        """What the layer returned since `clear`, or None when it did not run."""
        held = tuple(part for part in self._held if part is not None)
        if len(held) < len(self._held):
            return None
        return MapTensors(self.layer, self._form, held)

    def clear(self) -> None:
        """Let go of what was kept."""
        self._held = [None] * len(self._held)

    def copy_from_now_on(self) -> None:
        """Copy the first samples within the hook, for a layer whose output is overwritten."""
        if not self._copies:
            self._copies = True
            log.info("%s is changed in place after it ran: copied from now on", self.layer)

    def remove(self) -> None:
        """Take the hooks away."""
        self.unhook()
        self.clear()

    def unhook(self) -> None:
        """Take the hooks away, and let go of nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def keep(self, part: int, output: Any) -> None:
        """Note what part number `part` of the layer returned."""
        try:
            tensor = output if isinstance(output, Tensor) else output[0]
            self._held[part] = hold(tensor, first=self._samples, copy=self._copies)
        except Exception:  # nothing of ours may raise into a forward pass
            self._held[part] = None
            self._complain()

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            log.exception("%s: its output cannot be kept; it is left out of frames", self.layer)


class _Keeper:
    """The hook of one module; a copy of the module (an averaged model) gets one without effect.

    Of a compiled model it is called between compiled parts, not compiled itself.
    """

    __slots__ = ("_part", "_tap")

    def __init__(self, tap: Tap | None = None, part: int = 0) -> None:
        self._tap = tap
        self._part = part

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def keep(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if self._tap is not None:
            self._tap.keep(self._part, output)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Keeper, ()


_FORMS: dict[LayerKind, MapForm] = {"attention": "gate", "activation": "activation"}


def find_module(model: nn.Module, path: str) -> nn.Module:
    """Module of `model` at the dotted `path`.

    Raises
    ------
    ConfigurationError
        If there is none; names like it are listed.
    """
    try:
        return model.get_submodule(path)
    except AttributeError:
        names = [name for name, _ in model.named_modules() if name]
        near = difflib.get_close_matches(path, names, n=5, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(names[:10])}"
        name = type(model).__name__
        raise ConfigurationError(f"{name} has no module {path!r}: {hint}") from None


def tap_layers(
    model: nn.Module, attention: Mapping[str, str], activation: Mapping[str, str], *, samples: int
) -> list[Tap]:
    """Hook the layers, given as name to dotted module path.

    Raises
    ------
    ConfigurationError
        If a path does not exist; no hook is left behind.
    """
    kinds: list[tuple[LayerKind, Mapping[str, str]]] = [
        ("attention", attention),
        ("activation", activation),
    ]
    found = [
        (name, find_module(model, path), kind)
        for kind, layers in kinds
        for name, path in layers.items()
    ]
    return [Tap(name, module, kind, samples) for name, module, kind in found]


def _branches(module: nn.Module) -> tuple[nn.Module, ...]:
    branches = tuple(getattr(module, name, None) for name in _BAM_BRANCHES)
    return branches if all(isinstance(part, nn.Module) for part in branches) else ()  # type: ignore[return-value]


_BAM_BRANCHES = ("channel_attention", "spatial_attention")
