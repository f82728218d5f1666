"""The network of an upscaler: read from its file, checked, and run on one tile."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from bot.engine.subject import Subject
from bot.engine.upscaling.library import built
from bot.engine.upscaling.tiles import Floats
from bot.errors import JobFailed
from catalog.weight_files import HeaderError, upscaler_facts
from catalog.weight_files.upscaler import plain_tensor

log = logging.getLogger(__name__)

FILE_LIMIT: Final = 2**30
"""Bytes. The largest published ones, of transformers, have a third of it."""


@dataclass(frozen=True, slots=True)
class Network:
    """An upscaler, in RAM unless it is at work.

    described: as spandrel describes it. factor: how many times it enlarges both sides.
    sha256: of its file. dtype: what it computes with.
    """

    key: str
    described: Any
    architecture: str
    factor: int
    sha256: str
    dtype: torch.dtype

    def to(self, device: str) -> None:
        """Move it."""
        self.described.model.to(device)

    def enlarged(self, pixels: Floats, device: str) -> Floats:
        """One tile, from 0 to 1 and of shape (height, width, 3), `factor` times as large.

        Raises JobFailed if a pixel is not finite.
        """
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
        result = self.described(tensor.to(device, self.dtype))[0].float().cpu()
        if not bool(result.isfinite().all()):
            raise JobFailed("upscaler.not_finite", upscaler=self.key)
        return np.ascontiguousarray(result.numpy().transpose(1, 2, 0))


def read(path: Path, dtype: torch.dtype, subject: Subject) -> Network:
    """Read an upscaler's file and build its network, in RAM.

    dtype: to compute with; 32 bits instead where the architecture does not bear it.
    Raises JobFailed, and what `subject.check_stop` raises.
    """
    subject.check_stop()
    try:
        if (size := path.stat().st_size) > FILE_LIMIT:
            raise subject.failed(
                "upscaler.too_large", size=size // 2**20, limit=FILE_LIMIT // 2**20
            )
        data = path.read_bytes()
    except OSError as error:
        raise subject.unread(path, error) from error
    try:
        state = {plain_tensor(name): tensor for name, tensor in load(data).items()}
        facts = upscaler_facts({name: tuple(tensor.shape) for name, tensor in state.items()})
    except SafetensorError as error:
        raise subject.failed("upscaler.not_safetensors", reason=str(error)) from None
    except HeaderError as error:
        raise subject.failed("upscaler.unfit", reason=str(error)) from None
    try:
        described = built(facts.architecture, state)
    except Exception as error:
        log.warning("Upscaler %s cannot be built", subject.key, exc_info=True)
        raise subject.failed("upscaler.unreadable", reason=type(error).__name__) from error
    reason = ""
    if (described.input_channels, described.output_channels) != (3, 3):
        reason = f"it takes {described.input_channels} channels, not the 3 of RGB"
    elif described.scale < 2:
        reason = "it restores images without enlarging them"
    if reason:
        raise subject.failed("upscaler.unfit", reason=reason)
    bears = {torch.float16: described.supports_half, torch.bfloat16: described.supports_bfloat16}
    used = dtype if bears.get(dtype, True) else torch.float32
    described.model.eval().requires_grad_(False).to(used)
    return Network(
        subject.key,
        described,
        facts.architecture,
        described.scale,
        hashlib.sha256(data).hexdigest(),
        used,
    )
