"""Forward hooks that keep what a watched layer returned in the step's own forward pass."""

import difflib
import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from shared.errors import ConfigurationError
from trainer.capture.held import Kept, keep
from trainer.capture.uncompiled import kept_out, skipped
from trainer.capture.values import LayerParts, MapForm

log = logging.getLogger(__name__)


class Taps:
    """Hooks on all watched layers of a model; the last call of each module counts.

    A module with the modules ``channel_attention`` and ``spatial_attention`` is a BAM: its
    two branches are kept, which hold the whole gate in C + H*W numbers. Of any other module
    the output is kept.

    Parameters
    ----------
    model : nn.Module
        Has the layers.
    attention, activation : mapping of str to str
        Dotted path of each layer's module by its name in messages and metric keys.
    samples : int
        How many samples of a batch are needed.

    Attributes
    ----------
    layers : tuple of LayerParts
        The layers, attention first, and where their tensors lie in what `take` returns.
    kept : list of Kept or None
        What each module returned since `clear`; written by the hooks.
    inference : bool
        Whether tensors without a version counter are to be expected.

    Raises
    ------
    ConfigurationError
        If a path does not exist; no hook is left behind.
    """

    def __init__(
        self,
        model: nn.Module,
        attention: Mapping[str, str],
        activation: Mapping[str, str],
        *,
        samples: int,
    ) -> None:
        self.samples = samples
        self._complained: set[str] = set()
        layers: list[LayerParts] = []
        modules: list[nn.Module] = []
        for layer, form, watched in _find_layers(model, attention, activation):
            parts = tuple(range(len(modules), len(modules) + len(watched)))
            layers.append(LayerParts(layer, form, parts))
            modules += watched
        self.layers = tuple(layers)
        self._names = [each.layer for each in layers for _ in each.parts]
        # One list for all layers: taking and clearing it costs the same for two and for ten.
        self.kept: list[Kept | None] = [None] * len(modules)
        self.inference = False
        self._keepers = [_Keeper(self, place) for place in range(len(modules))]
        self._handles: list[RemovableHandle] = [
            module.register_forward_hook(keeper.keep)
            for module, keeper in zip(modules, self._keepers, strict=True)
        ]

    def clear(self, *, inference: bool) -> None:
        """Let go of what was kept; `inference` says what kind of step begins."""
        self.kept = [None] * len(self.kept)
        self.inference = inference

    def take(self) -> list[Kept | None]:
        """What each module returned since `clear`, or None where it did not run; then clear.

        A module whose output was overwritten by the end of the step is copied from now on.
        """
        taken, self.kept = self.kept, [None] * len(self.kept)
        for place, kept in enumerate(taken):
            if kept is not None and kept[0]._version != kept[1]:
                self._copy_from_now_on(place)
        return taken

    def remove(self) -> None:
        """Take the hooks away."""
        self.unhook()
        self.clear(inference=False)

    def unhook(self) -> None:
        """Take the hooks away, and let go of nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def complain(self, place: int) -> None:
        """Say, once a layer, that what it returned cannot be kept."""
        layer = self._names[place]
        if layer not in self._complained:
            self._complained.add(layer)
            log.exception("%s: its output cannot be kept; it is left out of frames", layer)

    def _copy_from_now_on(self, place: int) -> None:
        keeper = self._keepers[place]
        if not keeper.copies:
            keeper.copies = True
            log.info("%s is changed in place after it ran: copied from now on", self._names[place])


class _Keeper:
    """The hook of one module; a copy of the module (an averaged model) gets one without effect.

    Of a compiled model it is called between compiled parts, not compiled itself.

    Attributes
    ----------
    copies : bool
        Copy the first samples within the hook, as what the module returns is overwritten.
    """

    __slots__ = ("_place", "_taps", "copies")

    def __init__(self, taps: Taps | None = None, place: int = 0) -> None:
        self._taps = taps
        self._place = place
        self.copies = False

    @skipped
    def keep(self, _module: nn.Module, _args: Any, output: Any) -> None:
        taps = self._taps
        if taps is None:
            return
        if not (self.copies or taps.inference):
            try:  # what `keep` does, without the call and the question: most hooks end here
                tensor = output.detach() if output.requires_grad else output
                taps.kept[self._place] = tensor, tensor._version
                return
            except Exception:
                pass  # no tensor, or one that has no version counter
        self._keep_carefully(taps, output)

    @kept_out
    def _keep_carefully(self, taps: Taps, output: Any) -> None:
        try:
            tensor = output if isinstance(output, Tensor) else output[0]
            taps.kept[self._place] = keep(tensor, first=taps.samples, copy=self.copies)
        except Exception:  # nothing of ours may raise into a forward pass
            taps.kept[self._place] = None
            taps.complain(self._place)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Keeper, ()


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


def _find_layers(
    model: nn.Module, attention: Mapping[str, str], activation: Mapping[str, str]
) -> list[tuple[str, MapForm, tuple[nn.Module, ...]]]:
    """Name, form and modules of each layer."""
    found: list[tuple[str, MapForm, tuple[nn.Module, ...]]] = []
    for layer, path in attention.items():
        module = find_module(model, path)
        branches = _branches(module)
        found.append((layer, "bam", branches) if branches else (layer, "gate", (module,)))
    found += [
        (layer, "activation", (find_module(model, path),)) for layer, path in activation.items()
    ]
    return found


def _branches(module: nn.Module) -> tuple[nn.Module, ...]:
    branches = tuple(getattr(module, name, None) for name in _BAM_BRANCHES)
    return branches if all(isinstance(part, nn.Module) for part in branches) else ()  # type: ignore[return-value]


_BAM_BRANCHES = ("channel_attention", "spatial_attention")
