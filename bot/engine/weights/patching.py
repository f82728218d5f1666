"""Adding the changes of adapters to parameters, wherever these lie."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch

from bot.engine.patches import OfWhole, Weighted, Wholes, staged

Changes = Mapping[str, Sequence[Weighted]]
"""Parameter → its changes, in the order of the adapters."""


class Held(Protocol):
    """Parameters that can be patched.

    patched: the changes that are in them; those of the others are pristine.
    """

    patched: Changes

    def in_place(self, name: str) -> torch.Tensor | None:
        """The parameter, where it is on the device in the format of the pristine one, so that it
        can be computed with and written to; None elsewhere."""

    def store(self, name: str, value: torch.Tensor) -> None:
        """Write a parameter. value: of its shape, on the device, in any floating-point dtype."""


def patch(
    held: Held,
    changes: Changes,
    pristine: Callable[[str], torch.Tensor],
    device: str,
    check_stop: Callable[[], None],
) -> None:
    """Have exactly `changes` in the parameters of `held`.

    Each becomes pristine + Σ weight · delta(pristine), summed in fp32 in the order given, rounded
    once. pristine: returns that of a name, on `device`, in its own format; not to be written to.

    Raises what `check_stop` raises; then some parameters have the new changes, and `held.patched`
    does not say so.
    """
    for name in held.patched.keys() - changes.keys():
        held.store(name, pristine(name))
    wholes = Wholes(lambda name: pristine(name).float())
    missing = (
        (name, weighted)
        for name, weighted in changes.items()
        if not _same(held.patched.get(name, ()), weighted)
    )
    for name, weighted in staged(missing, device):
        check_stop()
        parameter = held.in_place(name)
        if parameter is None:
            before = pristine(name)
        else:
            # A parameter that is not patched yet need not be copied from RAM again.
            if name in held.patched:
                parameter.copy_(pristine(name))
            before = parameter
        base = before.float()
        # Nearly every change is a plain product, which is added where the parameter lies.
        read = any(change.reads_base for _, change in weighted)
        kept = parameter is None and base is before  # which may be the weights in RAM
        total = base.clone() if read or kept else base
        for weight, change in weighted:
            if isinstance(change, OfWhole):
                wholes.add_to(total, change, weight)
            else:
                change.add_to(total, base, weight)
        if parameter is None or total.data_ptr() != parameter.data_ptr():
            held.store(name, total)
    held.patched = changes


def _same(some: Sequence[Weighted], others: Sequence[Weighted]) -> bool:
    return len(some) == len(others) and all(
        weight == other_weight and change is other
        for (weight, change), (other_weight, other) in zip(some, others, strict=True)
    )
