"""The modules of a model that adapters change, and how files spell their names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

_KINDS: Final = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)


@dataclass(frozen=True, slots=True)
class Target:
    """A module that an adapter can change.

    part: the network, as `Family.patched` names it.
    path: of the module in that part, as `get_submodule` takes it.
    shape: of its weight: (out, in) for a Linear, (out, in, height, width) for a Conv2d, (n,) for a
        LayerNorm or GroupNorm.
    has_bias: whether there is a bias to change, of shape (out,) or (n,).
    """

    part: str
    path: str
    shape: tuple[int, ...]
    has_bias: bool

    @classmethod
    def of(cls, part: str, path: str, module: torch.nn.Module) -> "Target | None":
        """The target at `path`; None for a kind of module that no adapter changes."""
        if not isinstance(module, _KINDS) or module.weight is None:
            return None
        return cls(part, path, tuple(module.weight.shape), module.bias is not None)


_UNDERSCORED_WRAPPERS: Final = re.compile(
    r"(?:^|_)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_model_model|module)(?=_)"
)
_HOLDERS: Final = re.compile(
    r"(?:pipeline|pipe|model)[._]|(?:lora|lycoris)_(?=unet_|text_encoder_)"
    r"|(?:\w+\.)+?(?=(?:unet|text_encoder|text_encoder_2)\.)"
)
"""Names of what holds the networks, in files of hand-written trainers and of wrappers."""


class Spellings:
    """Finds modules by any spelling of their names: dots, underscores, or some of both.

    known: by the usual names, as `Family.targets` makes them; `<part>.<path>` is always one.
    """

    def __init__(self, known: Mapping[str, Target]) -> None:
        self._known = known
        self._underscored: dict[str, Target | None] = {}

    def target(self, module: str) -> Target | None:
        """The target of this name from `split`; None if the model has none."""
        if found := self._known.get(module) or self._loosely(module):
            return found
        held = _HOLDERS.match(module)
        return self._loosely(module[held.end() :]) if held else None

    def target_in(self, part: str, module: str) -> Target | None:
        """The target of a name that does not tell the part."""
        return self.target(f"{part}.{module.removeprefix('lycoris_')}")

    def _loosely(self, module: str) -> Target | None:
        if not self._underscored:
            for name, target in self._known.items():
                spelled = name.replace(".", "_")
                if self._underscored.setdefault(spelled, target) != target:
                    self._underscored[spelled] = None  # two modules in one spelling
        return self._underscored.get(
            _UNDERSCORED_WRAPPERS.sub("", module.replace(".", "_")).lstrip("_")
        )


def paths_of(module: str, target: Target) -> tuple[str, ...]:
    """The paths by which a configuration may mean a module: as in the file, as in the model.

    transformers 4 has the layers of all text encoders under `text_model`, transformers 5 not all.
    """
    bare = target.path.removeprefix("text_model.")
    spelled = (module, module.removeprefix(f"{target.part}."), target.path)
    return tuple(dict.fromkeys((*spelled, bare, f"text_model.{bare}")))
