"""Random weights with which numbers stay as large as they are, however deep the network. Imports
torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec

import torch


@dataclass(frozen=True, slots=True)
class Like:
    """Where a model is made, and what of. Each kind of device draws other numbers from one seed."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32


P = ParamSpec("P")

PLAIN: Final = Like()
SHARD: Final = "2GB"
"""The most that a file may have: several can be read beside each other."""


def made(build: Callable[[], Any], seed: int, like: Like = PLAIN) -> Any:
    """The module that `build` builds, with the weights of `seed`. Ready to run if they are in fp32:
    otherwise, what it computes once when it is built is in too few bits."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(like.dtype)
    try:
        with torch.device(like.device):
            part = build()
    finally:
        torch.set_default_dtype(before)
    fill(part, seed)
    return part.eval()


def writer(pipeline: Callable[P, Any], **options: Any) -> Callable[Concatenate[Path, P], None]:
    """What writes the model that `pipeline` makes, as a diffusers folder.

    options: of `save_pretrained`.
    """

    def build(folder: Path, /, *args: P.args, **kwargs: P.kwargs) -> None:
        pipeline(*args, **kwargs).save_pretrained(str(folder), max_shard_size=SHARD, **options)

    return build


def fill(part: torch.nn.Module, seed: int) -> None:
    """Weights of variance 1/fan_in, norms near 1, and statistics unlike those of an unused VAE.

    Drawn in fp32, on the device of `part`.
    """
    parameters = sorted(part.named_parameters())
    device = parameters[0][1].device
    generator = torch.Generator(device).manual_seed(seed)

    def drawn(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, device=device)

    with torch.no_grad():
        for name, parameter in parameters:
            norm = name.endswith("gamma") or (parameter.ndim == 1 and name.endswith("weight"))
            fan_in = 100 if norm or parameter.ndim == 1 else math.prod(parameter.shape[1:])
            parameter.copy_(drawn(parameter) / fan_in**0.5 + norm)
        for name, buffer in sorted(part.named_buffers()):
            if name == "bn.running_mean":
                buffer.copy_(drawn(buffer) / 10)
            if name == "bn.running_var":
                buffer.copy_(1 + drawn(buffer).square())
