"""LoRAs: first use and again, a step with four, memory, and a hundred sets."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from benchmarks import adapters, bench_model
from benchmarks.gpu.context import Context
from benchmarks.gpu.exactness import from_line
from benchmarks.gpu.requests import shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import alternate


def use(context: Context, count: int, rank: int) -> Iterator[Figure]:
    """`count` LoRAs of `rank` for the first time, then again, until the first step could begin."""
    bench, pipeline = context.bench, context.plain
    files = [bench.lora(number, rank=rank) for number in range(count)]
    offering = bench.offering(*files)
    names = [adapters._name(file) for file in files]

    def first() -> None:
        adapters.load(pipeline, files)
        adapters._encode(pipeline)

    def again() -> None:
        pipeline.enable_lora()
        pipeline.set_adapters(names, [adapters.WEIGHT] * count)
        adapters._encode(pipeline)

    def renewed() -> None:
        adapters.until_ready(offering, ())
        pipeline.unload_lora_weights()
        for file in files:
            adapters._renew(file)

    def bare() -> None:
        adapters.until_ready(offering, ())
        pipeline.disable_lora()

    try:
        pair = alternate(lambda: adapters.until_ready(offering, files), first, 1, renewed)
        yield _figure(f"{count} of rank {rank}, first use", pair)
        pair = alternate(lambda: adapters.until_ready(offering, files), again, context.repeat, bare)
        yield _figure(f"{count} of rank {rank}, again", pair)
    finally:
        _unload(context)


def _figure(what: str, pair: Any) -> Figure:
    ours, plain = pair.seconds
    return Figure(
        what,
        shown(ours),
        f"plain {shown(plain)}, {pair.ratio:.3f}× plain",
        {"seconds": ours, "plain": plain, "ratio": pair.ratio},
    )


def step(context: Context) -> Iterator[Figure]:
    """One UNet evaluation with four LoRAs, compared with none."""
    try:
        for line in adapters.step(context.bench, context.plain, context.repeat):
            yield from_line(line)
    finally:
        _unload(context)


def memory(context: Context) -> Iterator[Figure]:
    """GPU memory that four LoRAs of rank 128 add."""
    try:
        yield from_line(adapters.memory(context.bench, context.plain))
    finally:
        _unload(context)


def drift(context: Context) -> Iterator[Figure]:
    """Weights of ours that differ after a hundred sets; plain's hundred take minutes."""
    bench = context.bench
    files = [bench.lora(number) for number in range(bench_model.SET)]
    differing = adapters.drifted(bench, files)
    yield Figure(
        f"weights that differ after {adapters.SETS} sets",
        f"{differing:.1%}" if differing else "0",
        "goal 0",
        {"share": differing},
        wrong=differing > 0,
    )


def _unload(context: Context) -> None:
    adapters.until_ready(context.bench, ())
    with suppress(ValueError):  # peft was never needed
        context.plain.unload_lora_weights()
