"""The model that a benchmark paints with, in our engine and in plain diffusers side by side."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import sdxl_weights
from benchmarks.sdxl_weights import Shape
from bot.engine import Engine
from bot.request import AdapterUse, GenerationRequest
from catalog import AdapterEntry, Catalog, IntRange, ModelEntry

KEYS: Final = ("bench-a", "bench-b")
"""Of two models that share no number."""
PROMPT: Final = "a red fox asleep in fresh snow, morning light"


@dataclass(frozen=True, slots=True)
class Bench:
    """Random weights in SDXL's architecture on disk, and both programs with them loaded.

    cache: bytes of checkpoints that our engine keeps in RAM.
    """

    shape: Shape
    weights: Path
    engine: Engine
    catalog: Catalog
    device: str
    dtype: torch.dtype

    @property
    def painter(self) -> Any:
        """The engine's own painter, for what only its parts can tell."""
        return self.engine._painter

    @property
    def resident(self) -> Any:
        """The model in our engine."""
        return self.painter._residency.resident

    def plain(self, key: str = KEYS[0]) -> Any:
        """StableDiffusionXLPipeline as its documentation loads and moves it."""
        from diffusers import StableDiffusionXLPipeline

        pipeline = StableDiffusionXLPipeline.from_pretrained(
            sdxl_weights.model_folder(self.weights, self.shape, key),
            torch_dtype=self.dtype,
            variant="fp16",
            use_safetensors=True,
            local_files_only=True,
            add_watermarker=False,
        ).to(self.device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def request(self, **fields: Any) -> GenerationRequest:
        """One that does not depend on the catalog's defaults."""
        defaults: dict[str, Any] = {
            "prompt": PROMPT,
            "negative": "",
            "model": KEYS[0],
            "steps": 30,
            "guidance": 7.0,
            "seed": 7,
            "width": self.shape.side,
            "height": self.shape.side,
            "scheduler": "Euler",
        }
        return GenerationRequest(**{**defaults, **fields})

    def paint(self, request: GenerationRequest) -> Any:
        """Our engine's Painting."""
        return self.engine.paint(request, self.catalog, lambda _: None, lambda: None)

    def paint_plain(self, pipeline: Any, request: GenerationRequest) -> Any:
        """The same request by plain diffusers; a PIL image."""
        return pipeline(
            request.prompt,
            negative_prompt=request.negative,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(request.seed),
        ).images[0]

    def lora(self, number: int, rank: int = sdxl_weights.RANK) -> Path:
        """A kohya LoRA of 986 modules, written at the first call."""
        file = self.weights / self.shape.name / f"lora-{number}-r{rank}.safetensors"
        sdxl_weights.write_lora(file, self.shape, seed=100 + number, rank=rank)
        return file

    def offering(self, *files: Path) -> "Bench":
        """The same with these LoRAs in the catalog, under their file names."""
        entries = {
            f.stem: AdapterEntry(key=f.stem, name=f.stem, path=str(f.absolute())) for f in files
        }
        catalog = Catalog(self.catalog.models, entries, self.catalog.default)
        return Bench(self.shape, self.weights, self.engine, catalog, self.device, self.dtype)

    def wearing(self, *files: Path, weight: float = 0.8) -> tuple[AdapterUse, ...]:
        """As a request names them."""
        return tuple(AdapterUse(file.stem, weight) for file in files)


def arguments(description: str) -> argparse.ArgumentParser:
    """What every benchmark of the engine understands."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="an eighth as wide, to try the script")
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--weights", type=Path, help="where to keep the 7 GB a model (temporary)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each after the warm-up")
    parser.add_argument("--steps", type=int, default=30)
    return parser


@contextmanager
def opened(options: argparse.Namespace, **engine: Any) -> Iterator[Bench]:
    """engine: more arguments for the Engine."""
    shape = sdxl_weights.QUICK if options.quick else sdxl_weights.TRUE
    with tempfile.TemporaryDirectory() as temporary:
        weights = options.weights or Path(temporary)
        painter = Engine(
            models_dir=weights.absolute(),
            hashes_file=Path(temporary) / "hashes.json",
            device=options.device,
            **engine,
        )
        painter.warm_up()
        for number, key in enumerate(KEYS):
            folder = sdxl_weights.model_folder(weights, shape, key)
            sdxl_weights.write_model(folder, shape, sdxl_weights.SEED + 1000 * number)
        models = {
            key: ModelEntry(
                key=key,
                name=key,
                path=str(sdxl_weights.model_folder(weights, shape, key).absolute()),
                size=(shape.side, shape.side),
                min_side=64,
                steps=IntRange(min=1, default=30, max=100),
            )
            for key in KEYS
        }
        report = painter.device_report()
        yield Bench(
            shape,
            weights,
            painter,
            Catalog(models, {}, KEYS[0]),
            report.device,
            getattr(torch, report.dtype),
        )
        painter.close()
