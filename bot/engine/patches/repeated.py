"""Changes that a file has twice, under names of two programs.

Files for Z-Image circulate that were made to be read by everything: with `attention.qkv` and
`attention.out` for ComfyUI, and with `to_q`, `to_k`, `to_v` and `to_out.0` for diffusers, both in
full (huggingface/diffusers issue 13203). The adapter is meant once, so one of the two is applied.
"""

import sys
from collections.abc import Sequence
from typing import Final

import torch

from bot.engine.patches.algorithms import LoRA
from bot.engine.patches.algorithms.algorithm import flattened
from bot.engine.patches.changes import BiasChange, Change, WeightChange
from bot.engine.patches.fused import OfSomeRows, OfWhole

_PROBES: Final = 4
_ROUNDING: Final = 0.02
"""Of the norm: what may differ where one of the two was rounded to bfloat16 after its scale had
been multiplied in."""


class ContradictionError(Exception):
    """Two different changes of the same rows. args[0]: the second's module in the file."""


def without_repeated(found: Sequence[tuple[str, Change]]) -> list[Change]:
    """The changes of a file, each once, in the same order.

    found: with the name of the module in the file. Of two that are the same, the one of more rows
    is left, else the first. Raises ContradictionError where they are not the same.
    """
    kept: dict[tuple[str, str], list[tuple[str, range, Change]]] = {}
    dropped: set[int] = set()
    for name, change in sorted(found, key=lambda each: -len(_rows(each[1]))):
        rows = _rows(change)
        others = kept.setdefault((change.part, change.parameter), [])
        overlapping = [(at, other) for by, at, other in others if by != name and _overlap(at, rows)]
        if not overlapping:
            others.append((name, rows, change))
        elif all(rows[0] in at and rows[-1] in at for at, _ in overlapping) and all(
            _are_alike(other, change, rows) for _, other in overlapping
        ):
            dropped.add(id(change))
        else:
            raise ContradictionError(name)
    return [change for _, change in found if id(change) not in dropped]


def _rows(change: Change) -> range:
    """The rows of its parameter that a change is for; without an end where it is for all."""
    rows: tuple[int, int] | None = None
    if isinstance(change, OfSomeRows):
        rows = change.start, change.stop
    elif isinstance(change, OfWhole):
        rows = change.target.pieces[change.piece].rows
    return range(*rows) if rows else range(sys.maxsize)


def _overlap(some: range, others: range) -> bool:
    return some.start < others.stop and others.start < some.stop


def _are_alike(some: Change, other: Change, rows: range) -> bool:
    """Whether two changes do the same to these rows, but for rounding; no if that is hard to say.

    rows: of the parameter; both have them.
    """
    effects = [_effect(change.of_rows("", rows.start, rows.stop)) for change in (some, other)]
    first, second = effects
    if first is None or second is None or first.shape != second.shape:
        return False
    return bool((first - second).norm() <= _ROUNDING * max(first.norm(), second.norm()))


def _effect(change: Change | None) -> torch.Tensor | None:
    """What a LoRA makes of a few random inputs, or all of what a bias gets; None for the others."""
    if isinstance(change, BiasChange):
        return change.difference.float().reshape(-1) * change.scale
    if not isinstance(change, WeightChange) or not isinstance(change.algorithm, LoRA):
        return None
    lora = change.algorithm
    if lora.mid is not None:
        return None
    up, down = (flattened(factor.float()) for factor in (lora.up, lora.down))
    inputs = torch.randn(down.shape[1], _PROBES, generator=torch.Generator().manual_seed(0))
    return up @ (down @ inputs) * lora.scale
