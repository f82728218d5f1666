"""spandrel, which builds the network that a state dict belongs to."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, Final

import torch

from bot.engine.building import BUILDING

_MODULES: Final[tuple[str, ...]] = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)
_NAMES: Final = ("InterpolationMode", "rotate", "normalize")
"""What spandrel imports from the last of them."""


def built(architecture: str, state: Mapping[str, torch.Tensor]) -> Any:
    """The network as spandrel describes it, with its weights, on the CPU in 32 bits.

    architecture: spandrel's id. Raises whatever spandrel and torch raise for a state dict that does
    not fit.
    """
    with BUILDING:
        return library().MAIN_REGISTRY[architecture].architecture.load(dict(state))


def library() -> Any:
    """The module `spandrel`, imported without torchvision; see `hide_torchvision`."""
    with nullcontext() if "spandrel" in sys.modules else _stood_in_for():
        import spandrel
    return spandrel


@contextmanager
def _stood_in_for() -> Iterator[None]:
    """Within the block, importing torchvision gives something else."""
    before = {name: sys.modules[name] for name in _MODULES if name in sys.modules}
    stand_ins = {name: ModuleType(name) for name in _MODULES}
    for name in _NAMES:
        setattr(stand_ins[_MODULES[-1]], name, _Unused())
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in _MODULES:
            del sys.modules[name]
        sys.modules.update(before)


class _Unused:
    """Has every attribute, to be the default of an argument."""

    def __getattr__(self, name: str) -> None:
        return None
