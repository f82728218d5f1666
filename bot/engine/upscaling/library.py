"""spandrel, which builds the network that a state dict belongs to."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import torch

from bot.engine.residency import BUILDING

_NAMES: Final = ("InterpolationMode", "rotate", "normalize")
_MODULES: Final = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


def built(architecture: str, state: Mapping[str, torch.Tensor]) -> Any:
    """The network as spandrel describes it, with its weights, on the CPU in 32 bits.

    architecture: spandrel's id. Raises whatever spandrel and torch raise for a state dict that does
    not fit.
    """
    with BUILDING:
        if "spandrel" not in sys.modules:
            with _without_torchvision():
                import spandrel
        import spandrel

        return spandrel.MAIN_REGISTRY[architecture].architecture.load(dict(state))


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Nothing of torchvision is imported in the block.

    spandrel imports it for two architectures, neither an upscaler. A build of it that does not
    match torch's fails on import.
    """
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
    """Has every attribute, to be a default argument."""

    def __getattr__(self, name: str) -> None:
        return None
