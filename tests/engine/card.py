"""A pretended card: a device whose tensors are computed with on the CPU, and that refuses what CUDA
refuses and the CPU lets pass – an operation on tensors of which some are elsewhere.

torch lets Python stand in for a device of its own ("PrivateUse1"). A tensor on it wraps one of the
CPU's, so that views share memory as they do there.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

from bot.engine.environment import Place

DEVICE: Final = "card"
_CPU: Final = torch.device("cpu")
_COPYING: Final = {"aten::_to_copy", "aten::copy_"}
_INDEXING: Final = {"aten::index", "aten::index_put", "aten::index_put_"}
"""Operations whose second argument, the indices, may be on the CPU."""


class _Module(_DummyBackendModule):
    """Never chosen by a library that looks for an accelerator."""

    def is_available(self) -> bool:
        return False

    def device_count(self) -> int:
        return 0


class _Hook(_DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return False


class OnCard(torch.Tensor):
    """numbers: what it is computed with."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor, *_: Any, **__: Any) -> "OnCard":
        made: OnCard = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(DEVICE),
        )
        made.numbers = numbers
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_indices(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_indices(index), value)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnCard{tuple(self.shape)}"

    def __format__(self, _: str) -> str:
        return repr(self)


def _indices(index: Any) -> Any:
    """Lists as tensors: from lists, torch makes them in a way that leaves Python out."""
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _run(func: Any, args: Any, options: dict[str, Any]) -> Any:
    name = func._schema.name
    here = any(isinstance(each, OnCard) for each in pytree.tree_leaves((args, options)))
    bound = (args[0], *args[2:]) if name in _INDEXING else (args, options)
    elsewhere = any(
        torch.is_tensor(each) and each.ndim and not isinstance(each, OnCard)
        for each in pytree.tree_leaves(bound)
    )
    if here and elsewhere and name not in _COPYING:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    inner, given = pytree.tree_map_only(OnCard, lambda each: each.numbers, (args, options))
    asked = options.get("device")
    if asked is not None and torch.device(asked).type == DEVICE:
        here, given = True, {**given, "device": _CPU}
    elif name == "aten::_to_copy" and asked is not None:
        here = False
    result = func(*inner, **given)
    if name == "aten::copy_":
        return args[0]
    for told, found in zip(pytree.tree_leaves(args), pytree.tree_leaves(inner), strict=True):
        if found is result and torch.is_tensor(result):  # in place
            return told
    return pytree.tree_map_only(torch.Tensor, OnCard, result) if here else result


def _made(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """`make` for data of Python's, which torch copies in a way that leaves Python out."""

    def made(data: Any, *args: Any, device: Any = None, **options: Any) -> torch.Tensor:
        if device is None or torch.device(device).type != DEVICE:
            return make(data, *args, device=device, **options)
        return make(data, *args, **options).to(DEVICE)

    return made


def _arange(*bounds: Any, dtype: Any = None, **_: Any) -> OnCard:
    """Else torch makes an empty one first, whose size the wrapper would keep."""
    return OnCard(torch.arange(*bounds, dtype=dtype))


_setup_privateuseone_for_python_backend(DEVICE, _Module(), _Hook())
_LIBRARY: Final[Any] = torch.library.Library
_FALLBACK: Final = _LIBRARY("_", "IMPL")
_FALLBACK.fallback(lambda func, *args, **options: _run(func, args, options), "PrivateUse1")
_ATEN: Final = _LIBRARY("aten", "IMPL")
for _name in ("arange", "arange.start", "arange.start_step"):
    _ATEN.impl(_name, _arange, "PrivateUse1")


def use(patch: pytest.MonkeyPatch) -> None:
    """Have engines that are made from now on take the card for theirs, in 32 bits."""
    begin = Place.__init__

    def begun(place: Place, asked_device: str, asked_dtype: str) -> None:
        begin(place, "cpu", asked_dtype)
        place.device = place.kind = DEVICE

    patch.setattr(Place, "__init__", begun)
    # Which leaves Python out as well, where views are made.
    patch.setattr(torch._C, "_InferenceMode", lambda mode: torch.set_grad_enabled(not mode))
    for name in ("tensor", "as_tensor"):
        patch.setattr(torch, name, _made(getattr(torch, name)))
