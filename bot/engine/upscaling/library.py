"""spandrel, which builds the network that a state dict belongs to."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import torch

from bot.engine.residency import BUILDING

_MODULES: Final = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
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
    """The module `spandrel`, imported without torchvision.

    It imports that for two architectures, neither an upscaler's. A build of torchvision that does
    not match torch's fails on import, and stays out of the bot this way.
    """
    if "spandrel" not in sys.modules:
        with _stood_in_for():
            importlib.import_module("spandrel")
    return sys.modules["spandrel"]


@contextmanager
def _stood_in_for() -> Iterator[None]:
    """Within the block, importing torchvision gives something else."""
    before = {name: sys.modules.get(name) for name in _MODULES}
    stand_ins = {name: ModuleType(name) for name in _MODULES}
    for name in _NAMES:
        setattr(stand_ins[_MODULES[-1]], name, _Unused())
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class _Unused:
    """Has every attribute, to be the default of an argument."""

    def __getattr__(self, name: str) -> None:
        return None
