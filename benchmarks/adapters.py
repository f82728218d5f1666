"""Compare our adapters, merged into the weights, with diffusers and peft in one process.

`python -m benchmarks.adapters` writes a model in SDXL's architecture with random weights, and kohya
LoRAs of 986 modules each. It loads the model in our engine and in a plain StableDiffusionXLPipeline
and measures both: the first use of one LoRA (its file in the page cache) from the request until the
first step could begin, the first and a later use of a set of four, one UNet step with four LoRAs
against none, the memory that four LoRAs of rank 128 take, and how many weights differ after a
hundred sets. It also measures how long the catalog takes to identify a file from its header. It
prints a table, and returns 1 when our weights differ afterwards or when our UNet's output, with or
without LoRAs, is not the same as plain diffusers'.

Plain means `load_lora_weights` and `set_adapters`; for the hundred sets, `fuse_lora` and
`unfuse_lora`. Times are medians of `--repeat` runs after a warm-up. `--only` selects rows: `first`,
`set`, `again`, `step`, `memory`, `header`, `drift`. `--quick` uses a model an eighth as wide with
the same 986 modules, which measures the overhead of the programs rather than moving the weights.
"""

import argparse
import gc
import math
import os
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from benchmarks import bench_model, machine, sdxl_weights
from benchmarks.baseline import torchs_defaults
from benchmarks.bench_model import KEYS, Bench
from benchmarks.page import FIGURES, write_into
from benchmarks.side_by_side import Line, Work, alternate, of_pair, seconds, table
from bot.engine import patches
from bot.engine.subject import Subject
from bot.errors import PaintStopped, StopReason
from bot.progress import Progress, Stage
from catalog.families.sdxl import SDXL
from catalog.weight_files import adapter_facts, read_header

PARTS = ("unet", "text_encoder", "text_encoder_2")
SETS = 100
WEIGHT = 0.8
NOT_MEASURED: Final = "not measured"
MEMORY: Final = "GPU memory added by {} LoRAs of rank {}; peak while applying them"
MEMORY_GOAL: Final = "≤ 64 MiB"


def apply(bench: Bench, files: Sequence[Path], cache: Any, weight: float = WEIGHT) -> None:
    """Load our engine's model onto the device with exactly these LoRAs."""
    subject = Subject("adapter", "benchmark", lambda _: None, lambda: None)
    read = [cache.get(file, bench.resident.targets, SDXL.adapter_bases, subject) for file in files]
    bench.resident.set_adapters([(weight, weight, file.changes) for file in read])
    bench.resident.wake(lambda: None, "unet", "text_encoder", "text_encoder_2")


def until_ready(bench: Bench, files: Sequence[Path]) -> None:
    """Run our engine from a request up to its first step, which is not begun.

    Its prompt is a new one, so that it is encoded, as plain diffusers does each time.
    """

    def stop(progress: Progress) -> None:
        if progress.stage is Stage.PAINTING:
            raise PaintStopped(StopReason.CANCELLED)

    request = bench.fresh(adapters=bench.wearing(*files, weight=WEIGHT))
    with suppress(PaintStopped):
        bench.engine.paint(bench.order(request), stop, lambda: None)


def load(pipeline: Any, files: Sequence[Path]) -> None:
    """Apply these LoRAs with diffusers and peft."""
    for file in files:
        load_one(pipeline, file)
    switch_on(pipeline, files)


def load_one(pipeline: Any, file: Path) -> None:
    """Read a LoRA with diffusers and peft, whose layers are added to the model."""
    pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=_name(file))


def switch_on(pipeline: Any, files: Sequence[Path]) -> None:
    """Apply LoRAs that were loaded, and no others."""
    pipeline.set_adapters([_name(file) for file in files], [WEIGHT] * len(files))


def _encode(pipeline: Any) -> None:
    """Encode the prompt, which LoRAs affect too, so that plain's first step could begin."""
    with torch.no_grad():
        pipeline.encode_prompt(bench_model.PROMPT)


def _name(file: Path) -> str:
    return file.stem.replace("-", "_")


def first_use(bench: Bench, pipeline: Any, count: int, repeat: int) -> Line:
    """Check, hash, read and apply `count` LoRAs that are new to both, on a model without any."""
    files = [bench.lora(number) for number in range(count)]
    offering = bench.offering(*files)

    def plain() -> None:
        load(pipeline, files)
        _encode(pipeline)

    def bare() -> None:
        until_ready(offering, ())
        pipeline.unload_lora_weights()
        for file in files:
            _renew(file)

    pair = alternate(lambda: until_ready(offering, files), plain, repeat, bare)
    bare()
    what = "first use of one LoRA" if count == 1 else f"a set of {count}, first use"
    goal = "≤ 0.15 s and ≥ 20× faster" if count == 1 else "≤ 0.5 s"
    most = 0.15 if count == 1 else 0.5
    on_gpu = bench.device == "cuda"
    met = pair.seconds[0] <= most and (count > 1 or pair.ratio <= 1 / 20) if on_gpu else None
    line = of_pair(f"{what} (rank 32, 986 modules)", pair, goal=goal)
    return Line(line.what, line.ours, line.plain, line.ratio, line.goal, met)


def _renew(file: Path) -> None:
    """Change the mtime: our engine takes it for a new file, but it stays in the page cache."""
    changed = file.stat().st_mtime_ns + 10**9
    os.utime(file, ns=(changed, changed))


def again(bench: Bench, pipeline: Any, files: Sequence[Path], repeat: int) -> Line:
    """Go from no LoRA to a set that both have read before; our cache has its default size.

    pipeline: has loaded `files`, which are off afterwards.
    """
    offering = bench.offering(*files)

    def bare() -> None:
        until_ready(offering, ())
        pipeline.disable_lora()

    def switch() -> None:
        pipeline.enable_lora()
        switch_on(pipeline, files)
        _encode(pipeline)

    pair = alternate(lambda: until_ready(offering, files), switch, repeat, bare)
    bare()
    met = pair.seconds[0] <= 0.25 if bench.device == "cuda" else None
    line = of_pair(
        "the same set again, with another prompt (plain keeps it in the model)",
        pair,
        goal="≤ 0.25 s",
    )
    return Line(line.what, line.ours, line.plain, line.ratio, line.goal, met)


def unet_inputs(bench: Bench) -> dict[str, Any]:
    """What one evaluation of the UNet gets, for an image of the model's own size and guidance."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(bench.device, bench.dtype)

    side = bench.shape.side // 8
    width = bench.resident.denoiser.config.cross_attention_dim
    pooled = bench.resident.network("text_encoder_2").config.projection_dim
    return {
        "sample": noise(2, 4, side, side),
        "timestep": torch.tensor(500.0, device=bench.device),
        "encoder_hidden_states": noise(2, 77, width),
        "added_cond_kwargs": {"text_embeds": noise(2, pooled), "time_ids": noise(2, 6)},
    }


def step(bench: Bench, pipeline: Any, files: Sequence[Path], repeat: int) -> list[Line]:
    """Time one UNet evaluation with a set of LoRAs ÷ with none, in each program.

    Also checks that both compute the same; otherwise their times could not be compared.
    pipeline: has loaded `files`. Plain turns them off in place, as loading takes seconds, which
    leaves its layers a little slower than without any.
    """
    cache = patches.AdapterCache(2**33)
    inputs = unet_inputs(bench)

    def evaluate(unet: Any) -> torch.Tensor:
        return _evaluate(unet, **inputs)

    outputs: dict[tuple[str, bool], torch.Tensor] = {}
    times: dict[tuple[str, bool], list[float]] = {}
    for number in range(repeat + 1):
        for applied in (False, True):
            apply(bench, files if applied else (), cache)
            (pipeline.enable_lora if applied else pipeline.disable_lora)()
            for name, unet in (("ours", bench.resident.denoiser), ("plain", pipeline.unet)):
                with torchs_defaults() if name == "plain" else nullcontext():
                    outputs[name, applied] = evaluate(unet)
                    taken = min(seconds(partial(evaluate, unet)) for _ in range(3))
                times.setdefault((name, applied), []).extend([taken] * (number > 0))
    apply(bench, (), cache)
    median = {key: sorted(values)[len(values) // 2] for key, values in times.items()}
    ratio = {name: median[name, True] / median[name, False] for name in ("ours", "plain")}
    met = ratio["ours"] <= 1.01 if bench.device == "cuda" else None
    return [
        Line(
            f"one step with {len(files)} LoRAs ÷ with none",
            f"{ratio['ours']:.3f}×",
            f"{ratio['plain']:.3f}×",
            "",
            "≤ 1.01",
            met,
        ),
        compared(outputs, bench.dtype),
    ]


def _evaluate(unet: Any, **inputs: Any) -> torch.Tensor:
    with torch.inference_mode():
        output: torch.Tensor = unet(**inputs, return_dict=False)[0]
    return output


def compared(outputs: Mapping[tuple[str, bool], torch.Tensor], dtype: torch.dtype) -> Line:
    """How far ours is from plain, as a share of the LoRAs' effect: 1 if ours applied none.

    outputs: keyed by program (`ours` or `plain`) and whether LoRAs were applied. dtype: of the
    computation.
    """
    # Ours rounds each weight once, LoRAs included; plain adds each LoRA layer's own output.
    most = 0.01 if dtype == torch.float32 else 0.2
    exact = {key: output.double() for key, output in outputs.items()}
    effect = float((exact["plain", True] - exact["plain", False]).norm())
    off = max(
        float((exact["ours", applied] - exact["plain", applied]).norm())
        for applied in (False, True)
    )
    share = off / effect if effect else math.inf
    return Line(
        "UNet output: difference from plain ÷ change made by the LoRAs",
        f"{share:.5f}",
        "–",
        "",
        f"≤ {most:g}",
        share <= most and all(output.isfinite().all() for output in outputs.values()),
        must=True,
    )


def memory(bench: Bench, pipeline: Any) -> Line:
    """GPU memory that a set of LoRAs of rank 128 adds, afterwards and at peak while applied."""
    what = MEMORY.format(bench_model.SET, 128)
    if bench.device != "cuda":
        return Line(what, NOT_MEASURED, NOT_MEASURED, "", MEMORY_GOAL)
    files = [bench.lora(number, rank=128) for number in range(bench_model.SET)]
    ours = added_by_ours(bench, files)
    plain = added(lambda: load(pipeline, files))
    pipeline.unload_lora_weights()
    return of_memory(what, ours, plain)


def of_memory(what: str, ours: tuple[int, int], plain: tuple[int, int]) -> Line:
    """The line of what each program `added`."""
    own, others = ("; ".join(map(_mib, each)) for each in (ours, plain))
    return Line(what, own, others, "", MEMORY_GOAL, ours[0] <= 64 * 2**20)


def added_by_ours(bench: Bench, files: Sequence[Path]) -> tuple[int, int]:
    """What applying these LoRAs to our model without any `added`."""
    cache = patches.AdapterCache(0)
    apply(bench, (), cache)
    found = added(lambda: apply(bench, files, cache))
    apply(bench, (), cache)
    return found


def added(work: Work) -> tuple[int, int]:
    """Bytes that torch allocates on CUDA for `work`: those that remain, and the peak."""
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    peak = torch.cuda.max_memory_allocated() - before
    gc.collect()
    return torch.cuda.memory_allocated() - before, peak


def _mib(number: int) -> str:
    return f"{number / 2**20:.0f} MiB"


def drift(bench: Bench, pipeline: Any) -> Line:
    """Weights that differ from the checkpoint's after a hundred sets."""
    files = [bench.lora(number) for number in range(bench_model.SET)]
    cache, chance = patches.AdapterCache(2**33), random.Random(1)
    apply(bench, (), cache)  # so that every part is on the device
    models = (
        {part: bench.resident.network(part) for part in PARTS},
        {part: getattr(pipeline, part) for part in PARTS},
    )
    pristine = [_copy(model) for model in models]
    for file in files:
        load_one(pipeline, file)
    for _ in range(SETS):
        chosen = chance.sample(files, chance.randrange(1, bench_model.SET + 1))
        weight = chance.uniform(-1, 1)
        apply(bench, chosen, cache, weight)
        pipeline.fuse_lora(
            components=PARTS, adapter_names=[_name(f) for f in chosen], lora_scale=weight
        )
        pipeline.unfuse_lora(components=PARTS)
    apply(bench, (), cache)
    pipeline.unload_lora_weights()
    ours, plain = (
        _differing(before, model) for before, model in zip(pristine, models, strict=True)
    )
    return Line(
        f"weights of UNet and text encoders that differ after {SETS} random sets",
        f"{ours:.1%}" if ours else "0",
        f"{plain:.1%}" if plain else "0",
        "",
        "0",
        ours == 0,
        must=True,
    )


def drifted(bench: Bench, files: Sequence[Path], sets: int) -> float:
    """Share of our weights that differ after so many random sets of these LoRAs."""
    cache, chance = patches.AdapterCache(2**33), random.Random(1)
    apply(bench, (), cache)
    model = {part: bench.resident.network(part) for part in PARTS}
    pristine = _copy(model)
    for _ in range(sets):
        chosen = chance.sample(files, chance.randrange(1, len(files) + 1))
        apply(bench, chosen, cache, chance.uniform(-1, 1))
    apply(bench, (), cache)
    return _differing(pristine, model)


def _parameters(model: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """All parameters of the parts that LoRAs change."""
    for part in PARTS:
        for name, parameter in model[part].named_parameters():
            yield f"{part}.{name}", parameter.detach()


def _copy(model: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {name: p.to("cpu", copy=True) for name, p in _parameters(model)}


def _differing(before: dict[str, torch.Tensor], model: Mapping[str, Any]) -> float:
    """Share of all weights that differ. Raises KeyError when a parameter is missing."""
    after = {name: p.cpu() for name, p in _parameters(model)}
    differing = sum(int((after[name] != old).sum()) for name, old in before.items())
    return differing / sum(old.numel() for old in before.values())


def header(bench: Bench, repeat: int) -> Line:
    """How long the catalog takes to read a full-size SDXL LoRA's kind, base, rank and words."""
    file = bench.weights / "bare.safetensors"
    sdxl_weights.write_bare_lora(file, sdxl_weights.TRUE)

    def read() -> None:
        found = read_header(file)
        adapter_facts(found.shapes, found.metadata)

    taken = statistics.median(seconds(read) for _ in range(20 * repeat + 1))
    what = "recognising a LoRA from its header (2,958 tensors)"
    return Line(what, f"{1000 * taken:.1f} ms", "–", "", "≤ 5 ms", taken <= 0.005)


Measured = TypeVar("Measured")


def _loaded(
    measure: Callable[[Bench, Any, Sequence[Path], int], Measured],
    bench: Bench,
    pipeline: Any,
    repeat: int,
) -> Measured:
    """Measure with a set of LoRAs that plain diffusers has loaded."""
    files = [bench.lora(number) for number in range(bench_model.SET)]
    load(pipeline, files)
    try:
        return measure(bench, pipeline, files, repeat)
    finally:
        pipeline.unload_lora_weights()


ROWS: Final[Mapping[str, Callable[[Bench, Any, int], Sequence[Line]]]] = {
    "first": lambda bench, pipeline, repeat: [first_use(bench, pipeline, 1, repeat)],
    "set": lambda bench, pipeline, repeat: [first_use(bench, pipeline, bench_model.SET, repeat)],
    "again": lambda bench, pipeline, repeat: [_loaded(again, bench, pipeline, repeat)],
    "step": lambda bench, pipeline, repeat: _loaded(step, bench, pipeline, repeat),
    "memory": lambda bench, pipeline, _: [memory(bench, pipeline)],
    "header": lambda bench, _, repeat: [header(bench, repeat)],
    "drift": lambda bench, pipeline, _: [drift(bench, pipeline)],
}


def run(options: argparse.Namespace) -> Iterator[Line]:
    """The selected rows, one at a time."""
    with bench_model.opened(options, KEYS[:1]) as bench:
        bench.paint(bench.request(steps=1))
        pipeline = bench.plain()
        # Each row triggers garbage collections. They should not scan plain diffusers' model, which
        # the bot does not have, nor the libraries, which are frozen in the bot too.
        gc.collect()
        gc.freeze()
        for name in options.only or ROWS:
            yield from ROWS[name](bench, pipeline, options.repeat)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = bench_model.arguments(str(__doc__), tuple(ROWS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write needs all rows from one run; leave out --only")
    lines = bench_model.measure(options, run)
    where = f"Measured on {machine.describe()}; model `{options.shape.name}`."
    print(f"\n{where}")
    if options.write:
        write_into(FIGURES, "adapters", f"{table(lines)}\n\n{where}")
    return 1 if any(line.fails for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
