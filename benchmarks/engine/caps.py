"""The hardest case of a small card, under a cap on what torch may reserve."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import PIL.Image
import torch

from benchmarks import bench_model
from benchmarks.bench_model import FIXED, Bench
from benchmarks.side_by_side import Line, capped, tidy
from bot.engine import Engine
from bot.engine.memory import Profile
from bot.errors import JobFailed
from bot.request import GenerationRequest, Reference
from catalog import ReferenceEntry

CAP: Final = 9.3
"""GiB for torch on an 11 GB card: 10.5 GB including CUDA's own memory."""


def profile_under(gibibytes: float) -> Profile:
    """The profile of the card that `--cap` stands for."""
    return Profile.GB8 if gibibytes < 8 else Profile.GB11


def under_a_cap(bench: Bench, gibibytes: float, sizes: int = 2) -> Iterator[Line]:
    """Run the hardest case of a small card, in our engine with that card's profile and in plain.

    sizes: how many are tried, 1 or 2. Plain is run once, as they have about as many pixels and
    loading its LoRAs takes it long.
    Closes the bench's own engine.
    """
    files = [bench.lora(number, rank=128) for number in range(bench_model.SET)]
    guided = bench.guided()
    profile = profile_under(gibibytes)
    bench.engine.close()
    engine = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench_model.hashes_file(bench.weights),
        device=bench.device,
        memory=profile.value,
    )
    offering = replace(bench.offering(*files, reference=guided), engine=engine)
    picture = bench.keep_picture()
    side = bench.shape.side
    for width, height in ((side, side), (side * 19 // 16, side * 13 // 16))[:sizes]:
        request = bench.request(
            model=FIXED,
            steps=2,
            width=width,
            height=height,
            adapters=bench.wearing(*files),
            reference=Reference(picture, 0.6),
        )
        with capped(gibibytes):
            ours = _reserved(partial(_profile, offering, request))
            engine.close()
            tidy()
        plain = "–"
        if width == height:
            with capped(gibibytes):
                plain = _reserved(partial(_plainly, bench, request, files, guided))
                tidy()
        what = (
            f"{width}×{height}, {bench_model.SET} LoRAs of rank 128, another VAE, an IP-Adapter,"
            f" at most {gibibytes:g} GiB"
        )
        # A lower profile would mean that this one ran out of memory.
        completed = ours.endswith(f"reserved, profile {profile.value}")
        met = completed if bench.device == "cuda" else None
        yield Line(what, ours, plain, "", "ours completes", met)


def _reserved(work: Callable[[], str]) -> str:
    """The most that torch reserved for `work` followed by its result, or "out of memory"."""
    try:
        said = work()
    except JobFailed as failure:
        if not failure.code.startswith("memory."):
            raise
        return "out of memory"
    except torch.OutOfMemoryError:
        return "out of memory"
    if not torch.cuda.is_available():
        return f"painted{said}"
    return f"{torch.cuda.max_memory_reserved() / 2**30:.2f} GiB reserved{said}"


def _profile(bench: Bench, request: GenerationRequest) -> str:
    """Generate, and return the memory profile that was used."""
    return f", profile {bench.paint(request).recipe.environment['memory']}"


def _plainly(
    bench: Bench, request: GenerationRequest, files: Sequence[Path], guided: ReferenceEntry
) -> str:
    pipeline = bench.plain(fixed_vae=True)
    for file in files:
        pipeline.load_lora_weights(file.parent, weight_name=file.name)
    pipeline.load_ip_adapter(
        guided.path,
        subfolder="",
        weight_name=guided.weight_name,
        image_encoder_folder=guided.encoder,
        local_files_only=True,
    )
    bench.paint_plain(pipeline, request, ip_adapter_image=PIL.Image.new("RGB", (224, 224)))
    return ""
