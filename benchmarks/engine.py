"""Compare the whole engine with plain diffusers: requests, switches, memory, exactness.

`python -m benchmarks.engine` writes two models in SDXL's architecture with random weights, loads
them in our engine and in plain StableDiffusionXLPipelines, and measures both alternately: one
request from prompt to image, and a switch to the other model with one step, from RAM and from a
cold disk. It counts the steps that begin after a cancellation, compares our image with plain
diffusers', and compares our own bytes: generated twice, after other models and adapters, and by a
new engine. On CUDA, `--cap 9.3` limits torch to that many GiB and runs the hardest case of an 11 GB
card: four LoRAs of rank 128, another VAE and an IP-Adapter at 1024×1024 and 1216×832; then plain
diffusers under the same cap. `--cap 7` stands for an 8 GB card: below 8, our engine uses the
profile of such a card. `--only compile` measures how long compiling takes, from scratch and from
disk in a new process, what it gains, and that fifty switches recompile nothing.

`--only` selects rows: `request` (and whether the images are alike), `switch`, `cancel`, `exact`,
`cold`, `cap`, `compile`; the default is all but the last two. Each line is printed as soon as it is
measured. `--weights` keeps the models for the next run.

Plain means `from_pretrained(…, torch_dtype=torch.float16).to("cuda")` with its defaults. Times are
medians of `--repeat` runs after a warm-up. Returns 1 when bytes differ that must be equal, when our
image differs from plain diffusers', or when a cancelled job went on. `--quick` uses a model an
eighth as wide.
"""

import argparse
import gc
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

import PIL.Image
import psutil
import torch
from PIL import ImageChops

from benchmarks import bench_model, machine, sdxl_weights
from benchmarks.bench_model import FIXED, KEYS, PROMPT, Bench
from benchmarks.side_by_side import Line, alternate, capped, of_pair, seconds
from bot.engine import Engine
from bot.engine.memory import Profile
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Progress
from bot.request import GenerationRequest, Reference
from catalog import ModelEntry, ReferenceEntry

COMPILE: Final = "compile"
CAP: Final = 9.3
"""GiB for torch on an 11 GB card: 10.5 GB including CUDA's own memory."""
SWITCHES: Final = 50
STARTS = ("compiling in the background, first start", "… in a new process, found on disk")
RAM: Final = 64 * 2**30
"""Bytes of checkpoints that may be kept in RAM: more than both models need."""
ALIKE: Final = 8
"""How far a pixel's channel may be from plain diffusers': rounding that is not visible."""
CHUNK: Final = 16 * 2**20


def requested(bench: Bench, options: argparse.Namespace) -> Iterator[Line]:
    """How long a request takes, and whether both programs generate the same image."""
    pipeline = bench.plain()
    yield request_end_to_end(bench, pipeline, options.steps, options.repeat)
    yield alike(bench, pipeline, options.steps)


def request_end_to_end(bench: Bench, pipeline: Any, steps: int, repeat: int) -> Line:
    """Time one image, from prompt to pixels."""
    request = bench.request(steps=steps)
    pair = alternate(
        lambda: bench.paint(request), lambda: bench.paint_plain(pipeline, request), repeat
    )
    return of_pair(
        f"one request, {steps} steps, {bench.shape.side}×{bench.shape.side}",
        pair,
        most=0.62 if bench.device == "cuda" else None,
        goal="≤ 0.62×",
    )


def switch(bench: Bench, repeat: int) -> list[Line]:
    """Time switching back and forth between two models, until the next step could begin."""
    turns = {program: cycle(reversed(KEYS)) for program in ("ours", "plain")}
    numbers = count()

    def ours() -> None:
        before = _digests(bench)
        # A new prompt, because the text encoders are not needed for one that is known.
        asked = {"model": next(turns["ours"]), "prompt": f"{PROMPT} {next(numbers)}"}
        bench.paint(bench.request(**asked, steps=1, width=64, height=64))
        kept = before.items() & _digests(bench).items()
        if kept:
            raise RuntimeError(f"not switched: {', '.join(sorted(dict(kept)))}")

    def plain() -> None:
        held.clear()
        _collect()
        held.append(bench.plain(next(turns["plain"])))
        bench.paint_plain(held[0], bench.request(steps=1, width=64, height=64))

    held: list[Any] = []
    alone = alternate(
        lambda: bench.paint(bench.request(steps=1, width=64, height=64, model=KEYS[0])),
        lambda: None,
        repeat,
    )
    pair = alternate(ours, plain, repeat)
    held.clear()
    _collect()
    copies = [seconds(partial(_copy_again, bench)) for _ in range(repeat + 1)]
    floor = statistics.median(copies[1:])
    picture = alone.seconds[0]
    return [
        of_pair(
            "switch to the other model, with one step and a picture of 64×64",
            pair,
            most=0.1 if bench.device == "cuda" else None,
            goal="≤ 0.1×",
        ),
        Line(
            "of which: one step and its picture; copying all weights once",
            f"{picture:.2f} s; {floor:.2f} s",
            "–",
            "",
            "switch ≤ 0.5 s and ≤ 2× the copy",
            (pair.seconds[0] - picture <= min(0.5, 2 * floor)) if bench.device == "cuda" else None,
        ),
    ]


def _digests(bench: Bench) -> dict[str, str]:
    """The resident model's key and the digest of each of its networks."""
    parts = {name: part.digest for name, part in bench.resident.parts.items()}
    return {"model": bench.resident.key, **parts}


def _copy_again(bench: Bench) -> None:
    """Copy all weights of the resident model from RAM into its buffers on the device."""
    for part in bench.resident.parts.values():
        part._filled = None
        part.wake(lambda: None)


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def cancelled(bench: Bench) -> Line:
    """Count the UNet evaluations begun after a cancellation between two of the first steps."""
    late, begun = [], [0]

    def count(*_: object) -> None:
        begun[0] += 1

    hook = bench.resident.denoiser.register_forward_pre_hook(count)
    for at in range(1, 4):
        before: list[int] = []

        def report(progress: Progress, at: int = at, before: list[int] = before) -> None:
            if progress.step == at and not before:
                before.append(begun[0])

        def check(before: list[int] = before) -> None:
            if before:
                raise PaintStopped(StopReason.CANCELLED)

        with suppress(PaintStopped):
            bench.engine.paint(bench.order(bench.request(steps=6)), report, check)
        late.append(begun[0] - before[0])
    hook.remove()
    most = max(late)
    what = "steps begun after a cancellation"
    return Line(what, str(most), "–", "", "≤ 1", most <= 1, must=True)


def alike(bench: Bench, pipeline: Any, steps: int) -> Line:
    """Check that both generate the same image and that it is not flat, as NaNs would make it.

    Otherwise their times could not be compared.
    """
    request = bench.request(steps=steps)
    ours = bench.paint(request).images[0].image
    plain = bench.paint_plain(pipeline, request)
    farthest = max(ImageChops.difference(ours, plain).tobytes())
    colours = min(len(set(band.tobytes())) for band in plain.split())
    same = farthest <= ALIKE and colours > 1
    what = f"greatest difference of a pixel's channel from plain, {steps} steps"
    return Line(what, f"{farthest} of 255", "–", "", f"≤ {ALIKE}, not flat", same, must=True)


def cold(bench: Bench, options: argparse.Namespace) -> Line:
    """Time a switch to a model whose files are not in the page cache, against reading them.

    The engine keeps one model in RAM. The other reuses its memory, whose pages are already mapped.
    """
    what = "switch to a model on a cold disk; reading its files"
    if not hasattr(os, "posix_fadvise"):
        return Line(what, "not measured", "–")
    folder = sdxl_weights.model_folder(bench.weights, bench.shape, KEYS[1])
    files = sorted(folder.glob("**/*.safetensors"))
    engine = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench.weights.absolute() / "hashes.json",
        device=options.device,
        memory=options.memory,
        model_cache=sum(part.layout.size for part in bench.resident.parts.values()),
    )
    first, other = (bench.catalog.models[key] for key in KEYS)

    def load(model: ModelEntry) -> None:
        engine.preload(model, lambda: None)

    load(other)  # so that its digests are known, as on every use of a file but the first
    load(first)
    reading, switching = [], []
    for _ in range(options.repeat):
        _forget(files)
        reading.append(seconds(partial(_read, files)))
        _forget(files)
        switching.append(seconds(partial(load, other)))
        load(first)
    engine.close()
    taken, read = statistics.median(switching), statistics.median(reading)
    met = taken <= 1.3 * read if bench.device == "cuda" else None
    return Line(what, f"{taken:.2f} s; {read:.2f} s", "–", f"{taken / read:.2f}×", "≤ 1.3×", met)


def in_memory(folder: Path) -> bool:
    """Whether `folder` is on a file system in RAM, as far as the system tells."""
    mounts = psutil.disk_partitions(all=True)
    around = [mount for mount in mounts if folder.resolve().is_relative_to(mount.mountpoint)]
    around.sort(key=lambda mount: len(mount.mountpoint))
    return bool(around) and around[-1].fstype in ("tmpfs", "ramfs")


def _forget(files: Sequence[Path]) -> None:
    """Have the system drop `files` from the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _read(files: Sequence[Path]) -> None:
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.read(CHUNK):
                pass


def exact(bench: Bench, options: argparse.Namespace) -> Line:
    """Check that one request gives the same bytes, whatever ran before it."""
    files = [bench.lora(number) for number in range(2)]
    offering = bench.offering(*files)
    request = bench.request(steps=2, adapters=bench.wearing(*files), model=KEYS[0])
    pictures = [_bytes(offering, request)]
    pictures.append(_bytes(offering, request))
    offering.paint(bench.request(steps=1, model=KEYS[1]))
    offering.paint(bench.request(steps=1, adapters=bench.wearing(files[1]), width=64, height=128))
    pictures.append(_bytes(offering, request))
    new = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench.weights.absolute() / "hashes.json",
        device=options.device,
        memory=options.memory,
        model_cache=0,
    )
    bench.engine.rest()
    painting = new.paint(offering.order(request), lambda _: None, lambda: None)
    new.close()
    pictures.append(painting.images[0].image.tobytes())
    same = len(set(pictures)) == 1
    what = "byte-identical: twice, after other models and adapters, in a new engine from files"
    return Line(what, "yes" if same else "no", "–", "", "always", same, must=True)


def _bytes(bench: Bench, request: Any) -> bytes:
    return bytes(bench.paint(request).images[0].image.tobytes())


def profile_under(gibibytes: float) -> Profile:
    """The profile of the card that `--cap` stands for."""
    return Profile.GB8 if gibibytes < 8 else Profile.GB11


def under_a_cap(bench: Bench, gibibytes: float) -> Iterator[Line]:
    """Run the hardest case of a small card, in our engine with that card's profile and in plain.

    Closes the bench's own engine.
    """
    files = [bench.lora(number, rank=128) for number in range(bench_model.SET)]
    guided = bench.guided()
    profile = profile_under(gibibytes)
    bench.engine.close()
    engine = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench.weights.absolute() / "hashes.json",
        device=bench.device,
        memory=profile.value,
    )
    offering = replace(bench.offering(*files, reference=guided), engine=engine)
    picture = bench.keep_picture()
    side = bench.shape.side
    for width, height in ((side, side), (side * 19 // 16, side * 13 // 16)):
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
            _collect()
        with capped(gibibytes):
            plain = _reserved(partial(_plainly, bench, request, files, guided))
            _collect()
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


def compiled(options: argparse.Namespace) -> Iterator[Line]:
    """With IMAGEN_COMPILE: how long compiling takes, what it gains, and that nothing recompiles.

    Always in the full memory profile, the only one that compiles.
    """
    with tempfile.TemporaryDirectory() as code:
        for start in STARTS:
            yield from alone(started, options, start, code)


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run `work` in a new process and return its result."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def started(options: argparse.Namespace, start: str, code: str) -> list[Line]:
    """The lines of one of STARTS; code: folder where compiled code is kept."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = code
    with bench_model.opened(options, model_cache=RAM, compiled=True, memory="full") as bench:
        bench.paint(bench.request(steps=1))
        taken = seconds(bench.painter._kernels.wait)
        lines = [Line(start, f"{taken:.1f} s", "–")]
        if start == STARTS[-1]:
            pipeline = bench.plain()
            line = request_end_to_end(bench, pipeline, options.steps, options.repeat)
            lines += [replace(line, what=f"{line.what}, compiled"), recompilations(bench)]
        return lines


def recompilations(bench: Bench) -> Line:
    """Count recompilations, and check that compiled code runs, while models and LoRAs change."""
    from torch._dynamo.utils import counters

    before, chance = counters["stats"]["unique_graphs"], random.Random(5)
    files = [bench.lora(number) for number in range(bench_model.SET)]
    offering, names = bench.offering(*files), set()
    for _ in range(SWITCHES):
        worn = chance.sample(files, chance.randrange(len(files) + 1))
        request = bench.request(
            steps=1,
            model=chance.choice(KEYS),
            adapters=bench.wearing(*worn, weight=chance.uniform(-1, 1)),
        )
        names.add(offering.paint(request).recipe.environment["kernels"])
    again = counters["stats"]["unique_graphs"] - before
    return Line(
        f"recompilations over {SWITCHES} random switches of model and LoRAs",
        str(again),
        "–",
        "",
        "0",
        again == 0 and names == {"compiled"},
        must=True,
    )


ROWS: Final[Mapping[str, Callable[[Bench, argparse.Namespace], Iterable[Line]]]] = {
    "request": requested,
    "switch": lambda bench, options: switch(bench, options.repeat),
    "cancel": lambda bench, _: [cancelled(bench)],
    "exact": lambda bench, options: [exact(bench, options)],
    "cold": lambda bench, options: [cold(bench, options)],
    "cap": lambda bench, options: under_a_cap(bench, options.cap or CAP),
}
OPTIONAL: Final = ("cap", COMPILE)
BOTH_MODELS: Final = {"switch", "exact", "cold"}


def run(options: argparse.Namespace) -> Iterator[Line]:
    """The selected rows, one at a time."""
    wanted = set(options.only or ROWS.keys() - OPTIONAL)
    if options.cap:
        wanted.add("cap")
    if "cold" in wanted and in_memory(options.weights):
        sys.exit(
            f"{options.weights} is on a file system in RAM, where no file is cold;"
            " pass --weights with a folder on a disk"
        )
    if rows := [ROWS[name] for name in ROWS if name in wanted]:
        keys = KEYS if wanted & BOTH_MODELS else KEYS[:1]
        with bench_model.opened(options, keys, model_cache=RAM, memory=options.memory) as bench:
            bench.paint(bench.request(steps=1))
            for row in rows:
                yield from row(bench, options)
                _collect()
    if COMPILE in wanted:
        yield from compiled(options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = bench_model.arguments(str(__doc__), (*ROWS, COMPILE))
    parser.add_argument("--cap", type=float, help=f"GiB that torch may reserve ({CAP}, CUDA)")
    parser.add_argument("--memory", default="auto", help="auto, full, 16gb, 11gb or 8gb")
    options = parser.parse_args(arguments)
    print(f"{machine.describe()}, {options.shape.name}\n")
    lines = bench_model.measure(options, run)
    return 1 if any(line.fails for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
