"""Same bytes, whatever ran before; no weight changed; stopping at once; memory caps."""

import argparse
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.alone import alone
from benchmarks.bench_model import KEYS
from benchmarks.engine import caps, exactness, requests, stopping
from benchmarks.gpu.candidates import graph
from benchmarks.gpu.candidates.capture import Cuda
from benchmarks.gpu.context import Context, opened
from benchmarks.gpu.requests import shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import Line
from bot.errors import PaintStopped, StopReason
from bot.progress import Progress, Stage


def from_line(line: Line) -> Figure:
    """A line of the other benchmarks."""
    plain = "" if line.plain == "–" else f"plain {line.plain}"
    met = "" if line.met is None else ("met" if line.met else "missed")
    goal = f"goal {line.goal} {met}".rstrip() if line.goal else ""
    note = ", ".join(part for part in (plain, line.ratio, goal) if part)
    return Figure(line.what, line.ours, note, wrong=line.fails)


def exact(context: Context) -> Iterator[Figure]:
    """Twice, after other models and adapters, and by another engine from files."""
    yield from_line(exactness.exact(context.bench, context.options))
    _kept(context, os.getpid()).write_text(_digest(context), encoding="utf-8")


def in_a_new_process(context: Context) -> Iterator[Figure]:
    """The same request in this process and in another: that of `exact`, or one of its own."""
    here, own = _digest(context), _kept(context, os.getpid())
    others = [file for file in own.parent.glob(_kept(context, "*").name) if file != own]
    if others:
        there = others[0].read_text(encoding="utf-8")
    else:
        there = alone(_digest_alone, context.options)
    same = here == there
    yield Figure("byte-identical in a new process", "yes" if same else "no", wrong=not same)


def _kept(context: Context, process: object) -> Path:
    """Where the digest of a process is, for the others of this run."""
    return Path(context.bench.weights / f"digest-{os.getppid()}-{process}.txt")


def _digest(context: Context) -> str:
    request = context.bench.request(steps=2, model=KEYS[0])
    image = context.bench.paint(request).images[0].image
    return hashlib.sha256(image.tobytes()).hexdigest()


def _digest_alone(options: argparse.Namespace) -> str:
    with opened(options, KEYS) as context:
        return _digest(context)


def alike(context: Context) -> Iterator[Figure]:
    """How far our image is from plain diffusers', both with our settings, in a third of steps."""
    yield from_line(requests.alike(context.bench, context.plain, max(2, context.steps // 3)))


def cancel(context: Context) -> Iterator[Figure]:
    """Steps begun after a stop, and the time from a stop until the device has nothing to do."""
    bench = context.bench
    yield from_line(stopping.cancelled(bench))
    bench.paint(bench.request(steps=2))
    yield _latency(context, "from a stop within a step to an idle device")


def cancel_graphed(context: Context) -> Iterator[Figure]:
    """The same time while steps are launched as CUDA graphs, ahead of the device."""
    bench = context.bench
    with graph(bench):
        bench.paint(bench.request(steps=2))  # captures
        yield _latency(context, "by CUDA graphs: from a stop within a step to an idle device")


def _latency(context: Context, what: str) -> Figure:
    latencies = [_stopped(context, share) for share in (0.2, 0.5, 0.8)]
    worst = max(latencies)
    return Figure(
        what,
        shown(worst),
        f"the most of {len(latencies)}",
        {"seconds": worst},
    )


def _stopped(context: Context, share: float) -> float:
    """Seconds from a stop at `share` of a step until the device is idle."""
    bench, stop = context.bench, threading.Event()
    asked: list[float] = []
    seen: list[float] = []
    timers: list[threading.Timer] = []

    def ask() -> None:
        asked.append(time.perf_counter())
        stop.set()

    def report(progress: Progress) -> None:
        if progress.stage is not Stage.PAINTING:
            return
        seen.append(time.perf_counter())
        if len(seen) == 3:
            timers.append(threading.Timer(share * (seen[-1] - seen[-2]), ask))
            timers[0].start()

    def check() -> None:
        if stop.is_set():
            raise PaintStopped(StopReason.CANCELLED)

    request = bench.request(steps=20)
    with suppress(PaintStopped):
        bench.engine.paint(bench.order(request), report, check)
    if context.cuda:
        torch.cuda.synchronize()
    idle = time.perf_counter()
    for timer in timers:
        timer.join()
    if not asked or asked[0] > idle:
        raise RuntimeError("the request was over before the stop")
    return idle - asked[0]


def cap(context: Context, gibibytes: float) -> Iterator[Figure]:
    """The hardest case of a small card under a cap, and plain diffusers under the same."""
    for line in caps.under_a_cap(context.bench, gibibytes, sizes=1):
        figure = from_line(replace(line, must=context.cuda))
        note = figure.note if context.cuda else "nothing is capped without CUDA"
        yield replace(figure, note=note)


def graphed(context: Context) -> Iterator[Figure]:
    """Images by CUDA graphs against eager ones, while sizes, adapters and models change."""
    bench = context.bench
    files = [bench.lora(number) for number in range(2)]
    offering, side = bench.offering(*files), bench.shape.side
    requests = {
        "as it is": bench.request(steps=2),
        "another size": bench.request(steps=2, width=side * 3 // 4),
        "two images": bench.request(steps=2, count=2),
        "without guidance": bench.request(steps=2, guidance=1.0),
        "with two LoRAs": bench.request(steps=2, adapters=bench.wearing(*files)),
        "of the other model": bench.request(steps=2, model=KEYS[1]),
    }

    def painted() -> dict[str, list[bytes]]:
        return {
            what: [image.image.tobytes() for image in offering.paint(asked).images]
            for what, asked in requests.items()
        }

    eager = painted()
    with graph(bench):
        # The second time, graphs are there that were captured with other weights.
        found = [painted(), painted()]
    for what, images in eager.items():
        same = all(each[what] == images for each in found)
        said = "yes" if same else "no"
        yield Figure(f"graph against eager, {what}: same bytes", said, wrong=not same)


def failed_capture(context: Context) -> Iterator[Figure]:
    """A CUDA graph whose capture fails must leave the device usable, with the same bytes."""
    before, said = _digest(context), ""
    device, held = Cuda(), torch.ones(8, device=context.bench.device)

    def waits() -> torch.Tensor:
        return held * held.sum().item()  # for the device, which a capture forbids

    device.warm_up(waits)
    try:
        device.capture(waits)
    except RuntimeError as error:
        said = str(error).strip().split("\n", 1)[0]
    if not said:
        raise RuntimeError("the capture was meant to fail and did not")
    device.check()
    after = _digest(context)
    yield Figure(
        "after a failed capture, the same bytes",
        "yes" if after == before else "no",
        said[:120],
        wrong=after != before,
    )
    uses: dict[str, Callable[[], torch.Tensor]] = {
        "random numbers drawn on the device": lambda: torch.randn(8, device=held.device),
        "memory pinned": lambda: torch.empty(2**20, pin_memory=context.cuda),
    }
    for what, work in uses.items():
        try:
            work()
        except RuntimeError as error:
            why = str(error).strip().split("\n", 1)[0]
            yield Figure(f"after a failed capture, {what}", "fails", why[:120], wrong=True)
        else:
            yield Figure(f"after a failed capture, {what}", "works")
