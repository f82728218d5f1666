"""A network whose matrices a file may have fused, cut or in another order."""

from typing import Any

import torch

SPLIT = {"to_q": 40, "to_k": 24, "to_v": 32}
"""Rows, which fall into no blocks of any algorithm."""


class Network(torch.nn.Module):
    """What a file may have fused, and one matrix that it may have in pieces or in another order."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()

        def layer(rows: int) -> torch.nn.Module:
            if len(shape) == 2:
                return torch.nn.Linear(shape[1], rows)
            return torch.nn.Conv2d(shape[1], rows, shape[2])

        for name, rows in SPLIT.items():
            self.add_module(name, layer(rows))
        self.whole = layer(shape[0])
        self.wide = layer(shape[0] + 56)


def names(shape: tuple[int, ...]) -> dict[str, Any]:
    """What a file calls the modules of `Network`; all but "slice" are of `shape`."""
    from bot.engine.patches import Fused, Target

    def target(path: str, rows: int) -> Target:
        return Target("transformer", path, (rows, *shape[1:]), has_bias=True)

    pieces = {path: target(path, rows) for path, rows in SPLIT.items()}
    whole, wide = target("whole", shape[0]), target("wide", shape[0] + 56)
    half = shape[0] // 2
    return {
        **pieces,
        "whole": whole,
        "fused": Fused(tuple(pieces.values())),
        "slice": wide.cut(8, 40),
        "swapped": Fused((whole.cut(half, shape[0]), whole.cut(0, half))),
        "slices": Fused((wide.cut(100, 140), wide.cut(4, 60))),
    }


def rows_of(name: str, shape: tuple[int, ...]) -> list[tuple[str, int, int]]:
    """The rows of the file's matrix, one after the other: module of the model, from, before."""
    half = shape[0] // 2
    return {
        "fused": [(path, 0, rows) for path, rows in SPLIT.items()],
        "slice": [("wide", 8, 40)],
        "swapped": [("whole", half, shape[0]), ("whole", 0, half)],
        "slices": [("wide", 100, 140), ("wide", 4, 60)],
    }[name]


def shape_of(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (32, *shape[1:]) if name == "slice" else shape


class Patched:
    """A network in a `Part`, with known pristine weights."""

    def __init__(
        self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> None:
        from bot.engine.weights import Formats, Part, PristineWeights

        generator = torch.Generator().manual_seed(7)
        with torch.device("meta"):
            module = Network(shape)
        self.part = Part(module, Formats(dtype), device)
        self.pristine = {
            name: (torch.randn(slot.shape, generator=generator) * 0.3).to(dtype)
            for name, slot in self.part.layout.slots.items()
        }
        self.part.hold(PristineWeights("pristine", self.part.layout, None, self.pristine))

    def wear(self, *adapters: tuple[float, Any]) -> dict[str, Any]:
        """The parameters with these files' changes, at these weights."""
        wanted: dict[str, list[Any]] = {}
        for weight, changes in adapters:
            for change in changes:
                wanted.setdefault(change.parameter, []).append((weight, change))
        self.part.set_changes(wanted)
        self.part.wake(lambda: None)
        return {name: each.clone().cpu() for name, each in self.part.module.named_parameters()}
