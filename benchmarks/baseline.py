"""Torch's own numerical settings, which plain diffusers is measured with.

Our engine gives up TF32 and non-deterministic cuDNN kernels for the whole process. Left in place,
that would slow the program that it is compared with.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import torch


class Numerics(NamedTuple):
    """What decides which kernels torch chooses. precision: of float32 matrix products."""

    deterministic: bool
    benchmark: bool
    convolutions_in_tf32: bool
    products_in_tf32: bool
    precision: str


TORCHS_OWN: Final = Numerics(
    deterministic=False,
    benchmark=False,
    convolutions_in_tf32=True,
    products_in_tf32=False,
    precision="highest",
)
"""What a process has that never changed them."""


def numerics() -> Numerics:
    """The settings now."""
    return Numerics(
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision(),
    )


@contextmanager
def torchs_defaults() -> Iterator[None]:
    """Meanwhile, torch's own settings; then those of before again."""
    before = numerics()
    _set(TORCHS_OWN)
    try:
        yield
    finally:
        _set(before)


def _set(wanted: Numerics) -> None:
    torch.set_float32_matmul_precision(wanted.precision)
    torch.backends.cudnn.deterministic = wanted.deterministic
    torch.backends.cudnn.benchmark = wanted.benchmark
    torch.backends.cudnn.allow_tf32 = wanted.convolutions_in_tf32
    torch.backends.cuda.matmul.allow_tf32 = wanted.products_in_tf32
