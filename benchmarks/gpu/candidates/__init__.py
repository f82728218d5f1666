"""What may make the engine faster on a GPU, to be measured there before any of it is adopted.

`Candidate.apply` changes a running engine within its block and leaves it exactly as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple

from benchmarks.bench_model import Bench
from benchmarks.gpu.candidates import adapters, layouts, settings, vae
from benchmarks.gpu.candidates.capture import Cuda
from benchmarks.gpu.candidates.graphs import GraphedKernels
from benchmarks.gpu.candidates.seams import replaced
from bot.engine.kernels import Kernels


class Candidate(NamedTuple):
    """One change to measure.

    apply: makes it within a block. same_bits: whether images keep their bits. compiles: whether it
    compiles first, for minutes.
    """

    name: str
    apply: Callable[[Bench], AbstractContextManager[None]]
    same_bits: bool
    compiles: bool = False


@contextmanager
def graph(bench: Bench) -> Iterator[None]:
    """Replay the denoiser's kernels as a CUDA graph; see graphs.py.

    Raises RuntimeError at the block's end when no graph was used, or one had to be given up.
    """
    with _graphed(bench, bench.painter._kernels):
        yield


@contextmanager
def graph_of_layouts(bench: Bench) -> Iterator[None]:
    """A graph of channels_last convolutions and fused projections; raises as `graph` does."""
    with graph(bench), layouts.fused_projections(bench), layouts.channels_last(bench):
        yield


@contextmanager
def compiled_graph(bench: Bench) -> Iterator[None]:
    """Compiled code replayed as a CUDA graph; compiles for minutes before the block begins.

    Raises RuntimeError when nothing was compiled, and as `graph` does.
    """
    kernels = Kernels("inductor")
    with replaced(bench.painter, "_kernels", kernels):
        bench.paint(bench.request(steps=1))  # its end begins compiling
        kernels.wait()
        if not kernels._ready:
            # Where networks are parked, nothing is compiled and nothing is logged.
            raise RuntimeError("nothing was compiled; the log says why, or `--memory full` helps")
        with _graphed(bench, kernels):
            yield


@contextmanager
def _graphed(bench: Bench, kernels: Kernels) -> Iterator[None]:
    graphed = GraphedKernels(kernels, Cuda())
    try:
        with replaced(bench.painter, "_kernels", graphed):
            yield
            # Otherwise the time of eager kernels would stand for that of a graph.
            if graphed.graphs.failure:
                raise RuntimeError(f"CUDA graphs were given up: {graphed.graphs.failure}")
            if not graphed.graphs.replays:
                raise RuntimeError("no CUDA graph was used")
    finally:
        graphed.graphs.forget()


CANDIDATES: Final = (
    Candidate("graph", graph, same_bits=True),
    Candidate("graph-of-layouts", graph_of_layouts, same_bits=False),
    Candidate("compiled-graph", compiled_graph, same_bits=False, compiles=True),
    Candidate("channels-last", layouts.channels_last, same_bits=False),
    Candidate("fused-qkv", layouts.fused_projections, same_bits=False),
    Candidate("fp16-accumulation", settings.fp16_accumulation, same_bits=False),
    Candidate("cudnn-benchmark", settings.cudnn_benchmark, same_bits=False),
    Candidate("vae-tf32", settings.vae_tf32, same_bits=False),
    Candidate("vae-bf16", vae.in_bf16, same_bits=False),
    Candidate("vae-scaled-fp16", vae.in_scaled_fp16, same_bits=False),
    Candidate("uint8-on-device", vae.bytes_on_device, same_bits=True),
    Candidate("batched-addmm", adapters.batched_addmm, same_bits=False),
)
