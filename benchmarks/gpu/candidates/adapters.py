"""A candidate for applying LoRAs: modules of one shape in one operation."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from benchmarks.bench_model import Bench
from benchmarks.gpu.candidates.seams import replaced
from bot.engine.patches.algorithms import LoRA
from bot.engine.weights import Part

ROOM: Final = 256 * 2**20
"""Bytes of fp32 weights that one operation may take."""


@contextmanager
def batched_addmm(bench: Bench) -> Iterator[None]:
    """Add the products of all modules of a shape by one `baddbmm`, from one copy of the factors.

    SDXL has a few dozen shapes and 986 adapted modules, each with two copies and a launch today.
    Raises RuntimeError at the block's end when nothing was added so.
    """
    own, batches = Part._patch, [0]

    def patch(part: Any, buffer: torch.Tensor, weights: Any, check: Callable[[], None]) -> None:
        unpatched = not part._patched
        changes = part._changes if unpatched else {}
        groups: dict[Any, list[str]] = defaultdict(list)
        for name, weighted in changes.items():
            if key := _group(part.layout.slots[name].shape, weighted):
                groups[key].append(name)
        done = {}
        for (shape, *_), names in groups.items():
            room = max(1, ROOM // (4 * torch.Size(shape).numel()))
            for begin in range(0, len(names), room):
                check()
                some = names[begin : begin + room]
                _add(part, buffer, some)
                batches[0] += 1
                done.update({name: changes[name] for name in some})
        # What is done counts as patched, so that only the rest is computed one by one.
        part._patched = {**part._patched, **done}
        own(part, buffer, weights, check)

    _refill(bench)
    try:
        with replaced(Part, "_patch", patch):
            yield
            # Otherwise the time of the usual way would stand for that of this one.
            if not batches[0]:
                raise RuntimeError("nothing was batched")
    finally:
        _refill(bench)


def _refill(bench: Bench) -> None:
    """Have each network patched from its pristine weights the next time that it wakes."""
    if bench.resident:
        for part in bench.resident.parts.values():
            part._filled = None


def _group(shape: tuple[int, ...], weighted: Any) -> Any:
    """What modules must have in common to be computed together; None for other algorithms."""
    kinds: list[Any] = []
    for weight, change in weighted:
        algorithm: Any = getattr(change, "algorithm", None)
        plain = type(change).__name__ == "WeightChange" and isinstance(algorithm, LoRA)
        if not plain or algorithm.mid is not None:
            return None
        kinds.append((algorithm.down.shape, algorithm.up.shape, weight * algorithm.scale))
    return (shape, *kinds)


def _add(part: Any, buffer: torch.Tensor, names: list[str]) -> None:
    views = [part.layout.view(buffer, name) for name in names]
    total = torch.stack(views).float().flatten(2)
    changes: list[tuple[Any, ...]] = [tuple(part._changes[name]) for name in names]
    for same_place in zip(*changes, strict=True):
        algorithms: list[Any] = [change.algorithm for _, change in same_place]
        ups, downs = (
            torch.stack([getattr(each, side).flatten(1) for each in algorithms]).to(total)
            for side in ("up", "down")
        )
        total.baddbmm_(ups, downs, alpha=same_place[0][0] * algorithms[0].scale)
    for view, changed in zip(views, total, strict=True):
        view.copy_(changed.view(view.shape))
