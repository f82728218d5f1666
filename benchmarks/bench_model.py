"""The benchmark model, in our engine and in plain diffusers side by side."""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, Final

import PIL.Image
import torch

from benchmarks import sdxl_weights
from benchmarks.sdxl_weights import Shape
from benchmarks.side_by_side import Line, shown
from bot.engine import Engine
from bot.files.inputs import Inputs
from bot.order import Order, order_of
from bot.request import AdapterUse, GenerationRequest
from catalog import AdapterEntry, Catalog, IntRange, ModelEntry, ReferenceEntry
from catalog.families.sdxl import SDXL

KEYS: Final = ("bench-a", "bench-b")
"""Two models that share no weights."""
FIXED: Final = "bench-fixed"
"""The first model with a VAE marked safe for 16 bits, like madebyollin/sdxl-vae-fp16-fix."""
RAM: Final = 64 * 2**30
"""Bytes of checkpoints that may be kept in RAM: more than both models need."""
SET = 4
"""LoRAs that are applied at once."""
PROMPT: Final = "a red fox asleep in fresh snow, morning light"


@dataclass(frozen=True, slots=True)
class Bench:
    """Random weights in SDXL's architecture on disk, and both programs that load them.

    drawn_on: the device that draws them; see `sdxl_weights.write_model`.
    numbers: what makes prompts new; copies count on.
    """

    shape: Shape
    weights: Path
    engine: Engine
    catalog: Catalog
    device: str
    dtype: torch.dtype
    drawn_on: str = "cpu"
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def painter(self) -> Any:
        """The engine's pipeline, for measurements that its public interface does not offer."""
        return self.engine._pipeline

    @property
    def resident(self) -> Any:
        """The model that is loaded in our engine."""
        return self.painter._residency.resident

    def plain(self, key: str = KEYS[0], *, fixed_vae: bool = False) -> Any:
        """A StableDiffusionXLPipeline, loaded and moved as its documentation says.

        fixed_vae: use the VAE of FIXED instead of the model's own.
        """
        from diffusers import AutoencoderKL, StableDiffusionXLPipeline

        other = {}
        if fixed_vae:
            folder = _fixed_vae(self.weights, self.shape)
            other["vae"] = AutoencoderKL.from_pretrained(
                folder, torch_dtype=self.dtype, variant="fp16", local_files_only=True
            )
        pipeline = StableDiffusionXLPipeline.from_pretrained(
            sdxl_weights.model_folder(self.weights, self.shape, key),
            torch_dtype=self.dtype,
            variant="fp16",
            use_safetensors=True,
            local_files_only=True,
            add_watermarker=False,
            **other,
        ).to(self.device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def request(self, **fields: Any) -> GenerationRequest:
        """A request that does not depend on the catalog's defaults."""
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

    def fresh(self, **fields: Any) -> GenerationRequest:
        """Such a request with texts that nothing has encoded yet.

        Our engine remembers encodings, plain diffusers does not: with a known prompt it would be
        timed for less than plain is.
        """
        number = next(self.numbers)
        texts = {"prompt": f"{PROMPT}, {number}", "negative": f"blurry, {number}"}
        return self.request(**texts, **fields)

    def order(self, request: GenerationRequest) -> Order:
        """The order that our engine gets for `request`."""
        inputs = Inputs(self.weights.absolute())
        return order_of(request, self.catalog, inputs.read)

    def paint(self, request: GenerationRequest) -> Any:
        """The Painting that our engine makes of `request`."""
        return self.engine.paint(self.order(request), lambda _: None, lambda: None)

    def paint_plain(self, pipeline: Any, request: GenerationRequest, **more: Any) -> Any:
        """The PIL image that plain diffusers generates for `request`."""
        return pipeline(
            request.prompt,
            negative_prompt=request.negative or None,  # whose encoding is zeros
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            **more,
        ).images[0]

    def lora(self, number: int, rank: int = sdxl_weights.RANK) -> Path:
        """A kohya LoRA of 986 modules, written on the first call."""
        file = self.weights / self.shape.name / f"lora-{number}-r{rank}.safetensors"
        sdxl_weights.write_lora(
            file, self.shape, seed=100 + number, rank=rank, device=self.drawn_on
        )
        return file

    def guided(self) -> ReferenceEntry:
        """An IP-Adapter of SDXL's size and its image encoder, written on the first call."""
        folder = self.weights / self.shape.name / "reference"
        sdxl_weights.write_reference(folder, self.shape, self.drawn_on)
        return ReferenceEntry(
            path=str(folder.absolute()),
            weight_name=sdxl_weights.REFERENCE_WEIGHTS,
            encoder=sdxl_weights.REFERENCE_ENCODER,
        )

    def keep_picture(self) -> str:
        """Store an input image where the engine reads them from; returns its name."""
        noise = torch.randint(0, 256, (512, 512, 3), dtype=torch.uint8)
        buffer = BytesIO()
        PIL.Image.fromarray(noise.numpy()).save(buffer, "PNG")
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        (self.weights / f"{name}.png").write_bytes(buffer.getvalue())
        return name

    def offering(self, *files: Path, reference: ReferenceEntry | None = None) -> "Bench":
        """A copy with these LoRAs in the catalog, under their file names."""
        entries = {
            f.stem: AdapterEntry(key=f.stem, name=f.stem, path=str(f.absolute())) for f in files
        }
        references = {SDXL.key: reference} if reference else {}
        catalog = Catalog(self.catalog.models, entries, self.catalog.default, references=references)
        return replace(self, catalog=catalog)

    def wearing(self, *files: Path, weight: float = 0.8) -> tuple[AdapterUse, ...]:
        """These LoRAs as a request names them."""
        return tuple(AdapterUse(file.stem, weight) for file in files)


def arguments(description: str, rows: Sequence[str]) -> argparse.ArgumentParser:
    """The options of every engine benchmark. rows: the names that `--only` accepts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(shape=sdxl_weights.TRUE)
    parser.add_argument(
        "--quick",
        dest="shape",
        action="store_const",
        const=sdxl_weights.QUICK,
        help="an eighth as wide, to try the script",
    )
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--weights", type=Path, help="where to keep the 7 GB a model (temporary)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each after the warm-up")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=rows, metavar="NAME", help=", ".join(rows))
    return parser


def measure(
    options: argparse.Namespace, run: Callable[[argparse.Namespace], Iterable[Line]]
) -> list[Line]:
    """Print each line of `run` as soon as it is measured; returns all of them."""
    with tempfile.TemporaryDirectory() as temporary:
        options.weights = options.weights or Path(temporary)
        return shown(run(options))


@contextmanager
def opened(
    options: argparse.Namespace,
    keys: Sequence[str] = KEYS,
    *,
    drawn_on: str = "cpu",
    **engine: Any,
) -> Iterator[Bench]:
    """Write the models and start an engine.

    keys: those of KEYS to write. drawn_on: see `Bench`. engine: its arguments.
    """
    shape, weights = options.shape, options.weights
    painter = Engine(
        models_dir=weights.absolute(),
        hashes_file=hashes_file(weights),
        device=options.device,
        **engine,
    )
    painter.warm_up()
    for number, key in enumerate(keys):
        folder = sdxl_weights.model_folder(weights, shape, key)
        sdxl_weights.write_model(folder, shape, sdxl_weights.SEED + 1000 * number, drawn_on)
    entries = [_entry(weights, shape, key, key) for key in keys]
    vae = _fixed_vae(weights, shape)
    entries.append(_entry(weights, shape, FIXED, KEYS[0], vae_path=str(vae.absolute())))
    models = {entry.key: entry for entry in entries}
    report = painter.device_report()
    yield Bench(
        shape,
        weights,
        painter,
        Catalog(models, {}, KEYS[0]),
        report.device,
        getattr(torch, report.dtype),
        drawn_on,
    )
    painter.close()


def hashes_file(weights: Path) -> Path:
    """Where the digests of the files in `weights` are, for all processes."""
    return weights.absolute() / "hashes.json"


def copy_hashes(weights: Path, moved: Path) -> None:
    """Have the files in `moved` known by the digests of those in `weights`, which they copy.

    A file is known by its path, size and time of modification; the copies must have kept the last.
    """
    known: dict[str, str] = json.loads(hashes_file(weights).read_text(encoding="utf-8"))
    own, others = str(moved.absolute()), str(weights.absolute())
    copied = {key.replace(others, own): digest for key, digest in known.items()}
    hashes_file(moved).write_text(json.dumps(copied), encoding="utf-8")


def _entry(weights: Path, shape: Shape, key: str, folder: str, **fields: Any) -> ModelEntry:
    return ModelEntry(
        key=key,
        name=key,
        path=str(sdxl_weights.model_folder(weights, shape, folder).absolute()),
        size=(shape.side, shape.side),
        # Compiled for this size alone, so that the time measured is that of one size.
        min_side=shape.side,
        steps=IntRange(min=1, default=30, max=100),
        **fields,
    )


def _fixed_vae(weights: Path, shape: Shape) -> Path:
    """The folder of the first model's VAE with `force_upcast` off in its configuration."""
    folder = weights / shape.name / "fixed-vae"
    if not folder.is_dir():
        original = sdxl_weights.model_folder(weights, shape, KEYS[0]) / "vae"
        shutil.copytree(original, folder, copy_function=os.link)
        config = json.loads((original / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").unlink()
        text = json.dumps({**config, "force_upcast": False})
        (folder / "config.json").write_text(text, encoding="utf-8")
    return folder
