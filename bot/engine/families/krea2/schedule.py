"""Krea 2's noise levels: evenly spaced, then shifted towards noise.

Those of Raw by the image's size, those of Turbo as of large images, whatever the size
(huggingface/diffusers src/diffusers/pipelines/krea2/pipeline_krea2.py).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.engine.families import flow
from bot.engine.families.packing import PATCH
from bot.engine.families.qwen_vae import SCALE
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

_BY_SIZE: Final = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 6_400,
    "base_shift": 0.5,
    "max_shift": 1.15,
}
"""Tokens of a small and of a large image, and their shifts."""
_OF_TURBO: Final = {"base_shift": 1.15, "max_shift": 1.15}
TOKEN_SIDE: Final = SCALE * PATCH
"""Pixels along each side of what is one token for the transformer."""


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`.

    Both variants are published with the same configuration of a scheduler.
    """
    said = flow.training(root, entry, "Krea 2", _BY_SIZE)
    if not entry.sampled_as.distilled:
        return said
    return replace(said, schedule={**said.schedule, **_OF_TURBO})


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    levels: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(flow.DYNAMIC):
        width, height = size
        tokens = (width // TOKEN_SIDE) * (height // TOKEN_SIDE)
        levels["mu"] = flow.shift_of(tokens, *(training.schedule[each] for each in _BY_SIZE))
    return levels
