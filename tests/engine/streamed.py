"""A network whose blocks can take turns, its weights, and changes of them."""

from typing import Any

import torch

WIDTH = 8
BLOCKS = 7


class Block(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = torch.nn.Linear(WIDTH, width, device="meta")
        self.back = torch.nn.Linear(width, WIDTH, device="meta")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.back(self.into(x).sin())
        return result


class Net(torch.nn.Module):
    """Blocks of two sizes with something before, between and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.before = torch.nn.Linear(WIDTH, WIDTH, device="meta")
        self.first = torch.nn.ModuleList(Block(64) for _ in range(3))
        self.between = torch.nn.Linear(WIDTH, WIDTH, device="meta")
        self.second = torch.nn.ModuleList(Block(96) for _ in range(BLOCKS - 3))
        self.after = torch.nn.Linear(WIDTH, WIDTH, device="meta")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        for block in self.first:
            x = block(x)
        x = self.between(x)
        for block in self.second:
            x = block(x)
        result: torch.Tensor = self.after(x)
        return result


PATHS = (*(f"first.{n}" for n in range(3)), *(f"second.{n}" for n in range(BLOCKS - 3)))


EIGHT: Any = (torch.float32, r"(first|second)\.(?!1)\d\.\w+|between")
"""A dtype, and which layers are in 8 bits: those of most blocks, and one of none."""


def part_of(device: str = "cpu", dtype: torch.dtype = torch.float32, int8: str = "") -> Any:
    from bot.engine.weights import Formats, Part

    return Part(Net(), Formats(dtype, int8=int8), device, PATHS)


def numbers(part: Any, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(slot.shape, generator=generator).to(slot.dtype)
        for name, slot in part.layout.slots.items()
    }


def changes_of(part: Any, seed: int) -> dict[str, Any]:
    """Changes of some parameters, of which some read what they change."""
    from bot.engine.patches.algorithms import Full, GLoRA, LoRA
    from bot.engine.patches.changes import WeightChange

    generator = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    found = {}
    for name, slot in part.layout.slots.items():
        if not torch.rand(1, generator=generator) < 0.4:
            continue
        if len(slot.shape) == 1:
            algorithm: Any = Full(some(*slot.shape))
        else:
            rows, columns = slot.shape
            product = LoRA(some(2, columns), some(rows, 2), None, 0.5)
            reading = (some(columns, 2), some(2, columns))
            algorithm = GLoRA(reading, product) if seed % 2 else product
        found[name] = [(0.7, WeightChange("net", name, 0, algorithm))]
    return found


def output(part: Any) -> torch.Tensor:
    """Of two passes, in the mode in which images are generated."""
    x = torch.linspace(-1, 1, 4 * WIDTH).view(4, WIDTH).to(part.layout.dtype)
    with torch.inference_mode():
        result: torch.Tensor = part.module(part.module(x))
    return result


def cached(limit: int = 2**30) -> Any:
    from bot.engine.weights import WeightCache

    return WeightCache(limit, gpu=None)
