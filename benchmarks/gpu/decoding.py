"""The VAE in each precision: how long one image takes from latents to an image in RAM."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from benchmarks.bench_model import FIXED, KEYS, Bench
from benchmarks.gpu.candidates import settings
from benchmarks.gpu.candidates import vae as candidates
from benchmarks.gpu.candidates.seams import Decode, decoding
from benchmarks.gpu.context import Context
from benchmarks.gpu.requests import apart, shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import seconds

Apply = Callable[[Bench], AbstractContextManager[None]]

WAYS: Final[dict[str, tuple[str, Apply | None]]] = {
    "fp32, as a stock VAE demands": (KEYS[0], None),
    "fp32 in TF32": (KEYS[0], settings.vae_tf32),
    "bf16": (KEYS[0], candidates.in_bf16),
    "fp16, scaled": (KEYS[0], candidates.in_scaled_fp16),
    "fp16, of a VAE made for it": (FIXED, None),
}
"""What to decode with: a model, and a candidate."""
FP32_ON_CPU: Final = frozenset(("fp32 in TF32", "fp16, of a VAE made for it"))


def vae(context: Context) -> Iterator[Figure]:
    """Seconds of decoding in each way, postprocessing and the copy to RAM included."""
    first: tuple[float, Any] | None = None
    for what, (model, apply) in WAYS.items():
        if what in FP32_ON_CPU and not context.cuda:
            yield Figure(what, "–", "needs CUDA")
            continue
        with apply(context.bench) if apply else nullcontext():
            taken, image = _decoded(context, model)
        first = first or (taken, image)
        farthest, _ = apart(first[1], image)
        yield Figure(
            what,
            shown(taken),
            f"{taken / first[0]:.3f}× fp32, farthest {farthest:.0f} of 255",
            {"seconds": taken, "farthest": farthest},
        )


def _decoded(context: Context, model: str) -> tuple[float, Any]:
    """Median seconds of decoding an image of `model`, after a warm-up, and the image."""
    times: list[float] = []

    def change(decode: Decode) -> Decode:
        def decoded(*args: Any, **kwargs: Any) -> Any:
            results: list[Any] = []
            times.append(seconds(lambda: results.append(decode(*args, **kwargs))))
            return results[0]

        return decoded

    bench = context.bench
    with decoding(change):
        for _ in range(context.repeat + 1):
            painting = bench.paint(bench.request(steps=1, model=model))
    return statistics.median(times[1:]), painting.images[0].image
