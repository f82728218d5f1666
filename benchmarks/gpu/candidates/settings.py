"""Candidates that are settings of torch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from benchmarks.bench_model import Bench
from benchmarks.gpu.candidates.seams import Decode, decoding, setting


def fp16_accumulation(bench: Bench) -> AbstractContextManager[None]:
    """Sum products of 16 bits in 16 bits: GeForce's tensor cores are twice as fast so.

    https://docs.pytorch.org/docs/stable/notes/cuda.html, "Full FP16 accumulation in FP16 GEMMs".
    """
    return setting(torch.backends.cuda.matmul, allow_fp16_accumulation=True)


def cudnn_benchmark(bench: Bench) -> AbstractContextManager[None]:
    """Let cuDNN try its algorithms for each shape and use the fastest.

    The choice may differ from one process to the next, and the bits with it.
    https://docs.pytorch.org/docs/stable/notes/randomness.html, "CUDA convolution benchmarking".
    """
    return setting(torch.backends.cudnn, benchmark=True, deterministic=False)


@contextmanager
def vae_tf32(bench: Bench) -> Iterator[None]:
    """Decode in TF32: a stock VAE in fp32 does not use the tensor cores otherwise.

    https://docs.pytorch.org/docs/stable/notes/cuda.html, "TensorFloat-32 (TF32) on Ampere".
    """

    def change(decode: Decode) -> Decode:
        def decoded(*args: Any, **kwargs: Any) -> Any:
            with (
                setting(torch.backends.cudnn, allow_tf32=True),
                setting(torch.backends.cuda.matmul, allow_tf32=True),
            ):
                return decode(*args, **kwargs)

        return decoded

    with decoding(change):
        yield
