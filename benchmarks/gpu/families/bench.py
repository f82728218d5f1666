"""One family's files with random weights, and the engine that reads them."""

import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from safetensors.torch import save_file

from benchmarks.bench_model import PROMPT
from benchmarks.gpu.clock import between, mark
from benchmarks.gpu.families.models import Model
from benchmarks.side_by_side import seconds
from bot.engine import Engine
from bot.engine.hashing import HashCache
from bot.order import Order, order_of
from bot.progress import Progress, Stage
from bot.request import AdapterUse, GenerationRequest
from catalog import AdapterEntry, Catalog, ModelEntry
from tools.untrained.filling import Like

LORA: Final = "lora"
RANK: Final = 32
WEIGHT: Final = 0.8
SMALL: Final = 64
"""Pixels per side of a tiny model's image."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A Painting, the seconds that it took, and those of each step but the first.

    The first one waits for whatever brings the model into place.
    """

    painting: Any
    seconds: float
    steps: tuple[float, ...]

    @property
    def step(self) -> float:
        """Median seconds of a step. Raises ValueError if there was only one."""
        if not self.steps:
            raise ValueError("the first step is not timed, and there was no other")
        return median(self.steps)

    @property
    def image(self) -> Any:
        return self.painting.images[0].image

    @property
    def digest(self) -> str:
        return str(self.painting.images[0].pixels_sha256)


@dataclass(frozen=True, slots=True)
class Bench:
    """model: what is measured. folder: its files. tiny: whether they are of a tiny one.

    engine: reads them. device: that it computes on.
    """

    model: Model
    folder: Path
    tiny: bool
    engine: Engine
    device: str

    @property
    def painter(self) -> Any:
        """The engine's pipeline, for what its public interface does not offer."""
        return self.engine._pipeline

    @property
    def resident(self) -> Any:
        """The model that is loaded."""
        return self.painter._residency.resident

    @property
    def catalog(self) -> Catalog:
        model, size = self.model, (SMALL, SMALL) if self.tiny else self.model.facts.size
        entry = ModelEntry(
            key=model.key,
            name=model.key,
            path=str(self.folder),
            family=model.facts,
            variant=model.variant,
            size=size,
            min_side=SMALL,
            steps=model.usual.steps,
            guidance=model.usual.guidance,
        )
        lora = AdapterEntry(key=LORA, name=LORA, path=str(lora_file(self.folder)))
        return Catalog({entry.key: entry}, {LORA: lora}, entry.key)

    def request(self, *, lora: bool = False, **fields: Any) -> GenerationRequest:
        """The variant's usual request. lora: with the LoRA."""
        entry = self.catalog.models[self.model.key]
        defaults: dict[str, Any] = {
            "prompt": PROMPT,
            "negative": "blurry" if self.model.usual.takes_negative else "",
            "model": entry.key,
            "adapters": (AdapterUse(LORA, WEIGHT),) if lora else (),
            "steps": entry.steps.default,
            "guidance": entry.guidance.default,
            "seed": 7,
            "width": entry.size[0],
            "height": entry.size[1],
            "scheduler": "Euler",
        }
        return GenerationRequest(**{**defaults, **fields})

    def order(self, request: GenerationRequest) -> Order:
        return order_of(request, self.catalog)

    def paint(
        self, request: GenerationRequest, check: Callable[[], None] = lambda: None
    ) -> Painted:
        """What the engine makes of `request`."""
        marks: list[Any] = []
        made: list[Any] = []
        cuda = torch.device(self.device).type == "cuda"

        def report(progress: Progress) -> None:
            if progress.stage is Stage.PAINTING and progress.step:
                marks.append(mark(cuda=cuda))

        order = self.order(request)
        taken = seconds(lambda: made.append(self.engine.paint(order, report, check)))
        steps = tuple(between(*pair) for pair in pairwise(marks))
        return Painted(made[0], taken, steps)


def lora_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-lora.safetensors")


def hashes_file(folder: Path) -> Path:
    """Where the digests of its files are, for all processes."""
    return folder.with_name(f"{folder.name}-hashes.json")


def write_model(model: Model, folder: Path, like: Like, *, tiny: bool) -> None:
    """Write the model as a folder that diffusers reads, unless it is there, and hash its files.

    folder: which its files name, so it cannot be moved. like: what draws the weights.
    """
    done = folder.with_name(f"{folder.name}-complete")
    if done.is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    untrained = model.untrained
    untrained.build(folder, untrained.TINY if tiny else untrained.TRUE, like=like)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    hashes = HashCache(hashes_file(folder))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda file: hashes.of_file(file, _unheard), folder.rglob("*.safetensors")))
    done.touch()


def _unheard(_: float) -> None:
    """Nobody waits."""


def write_lora(bench: Bench, like: Like) -> None:
    """Write a LoRA of rank 32 that changes every matrix of the denoiser, unless it is there.

    The model has to be loaded.
    """
    file = lora_file(bench.folder)
    if file.is_file():
        return
    generator = torch.Generator(like.device).manual_seed(32)

    def drawn(rows: int, columns: int, deviation: float) -> torch.Tensor:
        numbers = torch.randn(rows, columns, generator=generator, device=like.device)
        return (numbers * deviation).to(like.dtype).cpu()

    tensors: dict[str, torch.Tensor] = {}
    for path, module in bench.resident.denoiser.named_modules():
        if isinstance(module, torch.nn.Linear):
            out, read = module.out_features, module.in_features
            name = f"{bench.model.family.denoiser}.{path}"
            tensors[f"{name}.lora_A.weight"] = drawn(RANK, read, 1 / math.sqrt(read))
            tensors[f"{name}.lora_B.weight"] = drawn(out, RANK, 0.02)
    save_file(tensors, file)
