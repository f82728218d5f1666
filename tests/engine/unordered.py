"""Watch: sees the operations whose bits on CUDA depend on which thread comes first.

From the documentation of `torch.use_deterministic_algorithms`, without backward passes. `settle`
makes cuDNN's and cuBLAS' choices the same every time, but not these.
"""

from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

UNORDERED: Final = {
    "histc",
    "index_add",
    "index_copy",
    "kthvalue",
    "max_unpool2d",
    "max_unpool3d",
    "median",
    "put",
    "scatter_add",
    "scatter_reduce",
}
"""Operations without backward passes; in place or not."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps in `found` what has no fixed order on CUDA, and counts what was called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[str] = set()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        name = func.overloadpacket.__name__.removesuffix("_")
        if name in UNORDERED or _unordered(name, args, kwargs or {}):
            self.found.add(str(func))
        return func(*args, **(kwargs or {}))


def _unordered(name: str, args: Any, options: Any) -> bool:
    match name:
        case "cumsum":
            dtype = options.get("dtype") or args[0].dtype
            return dtype.is_floating_point and not _exact(args[0])
        case "bincount":
            return (args[1] if len(args) > 1 else options.get("weights")) is not None
        case "scatter":
            return isinstance(args[3] if len(args) > 3 else options.get("src"), torch.Tensor)
        case "index_put":
            return _twice(args[1]) or bool(args[3] if len(args) > 3 else False)
        case _:
            return False


def _exact(terms: torch.Tensor) -> bool:
    """Whether float32 adds them up without rounding, and so in any order: small whole numbers."""
    if terms.dtype is torch.bool:
        return terms.numel() < 2**24
    return bool((terms == terms.round()).all()) and float(terms.abs().sum()) < 2**24


def _twice(indices: Any) -> bool:
    """Whether the same place is written to more than once."""
    given = [index for index in indices if index is not None]
    if any(index.dtype == torch.bool for index in given):
        return False
    shape = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        *[index.shape for index in given]
    )
    places = torch.stack([index.expand(shape).flatten() for index in given], 1)
    return len(torch.unique(places, dim=0)) < len(places)
