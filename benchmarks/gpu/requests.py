"""How long a request takes: each program, each candidate, each stage, and the gaps between."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from typing import Any, Final

import torch
from PIL import ImageChops, ImageStat

from benchmarks import adapters
from benchmarks.baseline import torchs_defaults
from benchmarks.gpu.candidates import CANDIDATES
from benchmarks.gpu.clock import between, mark
from benchmarks.gpu.context import Context
from benchmarks.gpu.row import Figure, Skip
from benchmarks.side_by_side import alternate, seconds
from bot.engine.pixels import _processor

CALLS: Final = 3
"""Evaluations that are profiled."""


def request(context: Context) -> Iterator[Figure]:
    """Plain with torch's own settings, plain with ours, and our engine."""
    _ = context.plain  # is loaded before anything is timed
    pair = alternate(context.paint, context.paint_plain, context.repeat)
    ours, plain = pair.seconds
    context._plain_seconds = plain
    yield Figure("plain diffusers, torch's own settings", shown(plain), "", {"seconds": plain})
    context.paint_plain()  # the first with kernels that only our settings choose
    ours_of_plain = seconds(context.paint_plain)
    yield Figure(
        "plain diffusers, our settings",
        shown(ours_of_plain),
        f"{ours_of_plain / plain:.3f}× plain",
        {"seconds": ours_of_plain, "ratio": ours_of_plain / plain},
    )
    numbers = {"seconds": ours, "ratio": pair.ratio}
    yield Figure("ours eager", shown(ours), f"{pair.ratio:.3f}× plain", numbers)


def counts(context: Context, count: int) -> Iterator[Figure]:
    """A request for `count` images: ours makes them in turn, plain diffusers all at once.

    A third of the steps will do.
    """
    bench, steps = context.bench, max(2, context.steps // 3)

    def plain(steps: int) -> None:
        asked = context.request(steps=steps)
        bench.paint_plain(context.plain, asked, num_images_per_prompt=count)

    with torchs_defaults():
        plain(1)  # the first of this size
        others = seconds(lambda: plain(steps))
    ours = seconds(lambda: bench.paint(context.request(steps=steps, count=count)))
    yield Figure(
        f"ours, {count} × {bench.shape.side}×{bench.shape.side}, {steps} steps",
        shown(ours),
        f"{shown(ours / count)} an image; plain {shown(others)}, {ours / others:.3f}× plain",
        {"seconds": ours, "plain": others, "ratio": ours / others},
    )


def candidate(context: Context, name: str, *, whole: bool = False) -> Iterator[Figure]:
    """One candidate against our engine as it is.

    whole: those that change most get a whole request, and a comparison with plain diffusers. For
    the others a third of the steps will do.
    """
    chosen = next(each for each in CANDIDATES if each.name == name)
    steps = context.steps if whole else max(2, context.steps // 3)
    kernels = "compiled" if chosen.compiles else "eager"

    def paint(kernels: str, request: Any = None) -> Any:
        return painted_with(context, kernels, request or context.request(steps=steps))

    # Compared with each other, so of one prompt; each timed run has one of its own.
    asked = context.bench.request(steps=steps)
    eager = paint("eager", asked)
    # In one block: capturing, and even more compiling, for each run would take too long.
    runs = context.repeat if whole else 1
    ours = statistics.median(seconds(lambda: paint("eager")) for _ in range(runs))
    with chosen.apply(context.bench):
        painting = paint(kernels, asked)  # whatever it captures or builds first
        taken = statistics.median(seconds(lambda: paint(kernels)) for _ in range(runs))
    after = paint("eager", asked)
    numbers = {"seconds": taken, "eager": ours, "of_eager": taken / ours}
    note = f"{steps} steps, {taken / ours:.3f}× ours eager"
    if whole:
        numbers["of_plain"] = taken / context.plain_seconds()
        note += f", {numbers['of_plain']:.3f}× plain"
    yield Figure(name, shown(taken), note, numbers)
    yield from compared(name, eager, painting, after, same_bits=chosen.same_bits)


def compared(
    name: str, eager: Any, painting: Any, after: Any, *, same_bits: bool
) -> Iterator[Figure]:
    """How far a candidate's Painting is from ours, and whether ours is afterwards as before."""
    before, images = eager.images[0].image, painting.images[0].image
    same = before.tobytes() == images.tobytes()
    farthest, mean = apart(before, images)
    yield Figure(
        f"{name}: same bytes as ours eager",
        "yes" if same else "no",
        f"farthest {farthest:.0f} of 255, mean {mean:.4f}",
        {"same": same, "farthest": farthest, "mean": mean},
        wrong=same_bits and not same,
    )
    restored = after.images[0].image.tobytes() == before.tobytes()
    yield Figure(
        f"{name}: ours eager has its bytes again afterwards",
        "yes" if restored else "no",
        wrong=not restored,
    )


def apart(one: Any, other: Any) -> tuple[float, float]:
    """The greatest difference of a pixel's channel of two images, and the mean."""
    difference: Any = ImageChops.difference(one, other)
    farthest = max(high for _, high in difference.getextrema())
    return float(farthest), statistics.mean(ImageStat.Stat(difference).mean)


def compiled(context: Context) -> Iterator[Figure]:
    """Our engine with compiled code, in a process that has compiled it first."""
    bench = context.bench
    context.paint()
    waited = seconds(bench.painter._kernels.wait)
    yield Figure("compiling", shown(waited), "after the first request", {"seconds": waited})
    taken = context.median(lambda: painted_with(context, "compiled", context.request()))
    plain = context.plain_seconds()
    ratio = taken / plain
    yield Figure(
        "ours compiled", shown(taken), f"{ratio:.3f}× plain", {"seconds": taken, "ratio": ratio}
    )


def painted_with(context: Context, kernels: str, request: Any) -> Any:
    """The Painting of `request`. kernels: `eager` or `compiled`, as the recipe calls them.

    Raises RuntimeError when others made it; their time would stand for something else.
    """
    painting = context.bench.paint(request)
    used = painting.recipe.environment["kernels"]
    if used != kernels:
        raise RuntimeError(f"{kernels} code did not run: the recipe says {used!r}")
    return painting


def stages(context: Context) -> Iterator[Figure]:
    """Seconds of each stage of a request, on the device's clock."""
    bench = context.bench
    context.paint()
    with _timed(context) as spans:
        # A prompt that was encoded before would leave out the text encoders.
        whole = seconds(lambda: spans["picture"].append(context.paint()))
    picture = spans.pop("picture")[0].images[0].image
    for stage in ("text encoding", "UNet", "VAE decode"):
        taken = [span() for span in spans[stage]]
        yield Figure(
            stage,
            shown(sum(taken)),
            f"{len(taken)} × {shown(sum(taken) / len(taken))}, {sum(taken) / whole:.1%}",
            {"seconds": sum(taken), "share": sum(taken) / whole},
        )
    yield Figure("the whole request", shown(whole), "", {"seconds": whole})
    pixels = torch.rand(1, 3, picture.height, picture.width, device=bench.device)
    processor = _processor(bench.resident.family)
    with torch.inference_mode():
        post = context.median(lambda: processor.postprocess(pixels, output_type="pil"))
    yield Figure("postprocess", shown(post), f"{post / whole:.1%}", {"seconds": post})
    png = context.median(lambda: picture.save(BytesIO(), "PNG", compress_level=6))
    yield Figure("PNG at level 6", shown(png), f"{png / whole:.1%}", {"seconds": png})


@contextmanager
def _timed(context: Context) -> Iterator[defaultdict[str, list[Any]]]:
    """Meanwhile, collect what computes the seconds of each call of a network."""
    resident, spans = context.bench.resident, defaultdict[str, list[Any]](list)
    timed = {"UNet": [resident.denoiser], "VAE decode": [resident.vae.decoder]}
    timed["text encoding"] = [resident.network(name) for name in resident.family.text_encoders]
    with ExitStack() as hooks:
        for stage, modules in timed.items():
            for module in modules:
                begun: list[Callable[[], float]] = []

                def before(*_: Any, begun: list[Any] = begun) -> None:
                    begun.append(mark(cuda=context.cuda))

                def after(*_: Any, begun: list[Any] = begun, stage: str = stage) -> None:
                    spans[stage].append(partial(between, begun.pop(), mark(cuda=context.cuda)))

                hooks.callback(module.register_forward_pre_hook(before).remove)
                hooks.callback(module.register_forward_hook(after).remove)
        yield spans


def gaps(context: Context) -> Iterator[Figure]:
    """The share of the time from the first to the last kernel of steps in which none runs."""
    from torch._C._autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    inputs = adapters.unet_inputs(context.bench)
    context.bench.resident.wake(lambda: None, "unet")
    unets = {"ours eager": context.bench.resident.denoiser, "plain": context.plain.unet}
    for name, unet in unets.items():

        def work(unet: Any = unet) -> None:
            for _ in range(CALLS):
                adapters._evaluate(unet, **inputs)

        with torchs_defaults() if name == "plain" else ExitStack():
            work()
            with profile(activities=[ProfilerActivity.CUDA]) as trace:
                seconds(work)
        spans = [
            (event.time_range.start, event.time_range.end)
            for event in trace.events() or ()
            if event.device_type == DeviceType.CUDA
        ]
        if not spans:
            raise Skip("the profiler saw no kernel; CUPTI may be closed to this user")
        share = idle(spans)
        yield Figure(
            f"{name}: device idle between kernels, {CALLS} evaluations of the UNet",
            f"{share:.1%}",
            f"{len(spans)} kernels and copies",
            {"share": share},
        )


def idle(spans: list[tuple[float, float]]) -> float:
    """The share of the time from the first to the last in which nothing ran."""
    first, reached, busy = min(spans)[0], min(spans)[0], 0.0
    for begin, end in sorted(spans):
        busy += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return 1 - busy / (reached - first) if reached > first else 0.0


def shown(value: float) -> str:
    return f"{value:.3f} s" if value >= 1 else f"{1000 * value:.1f} ms"
