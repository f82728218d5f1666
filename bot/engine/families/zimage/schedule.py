"""Z-Image's noise levels: evenly spaced, then shifted towards noise."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.engine.families import flow
from bot.engine.families.zimage.latents import TOKEN_SIDE
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

_BY_SIZE: Final = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 4_096,
    "base_shift": 0.5,
    "max_shift": 1.15,
}
"""Where the shift depends on the image: tokens of a small and of a large one, and their shifts."""


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`."""
    return flow.training(root, entry, "Z-Image", _BY_SIZE)


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    levels: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(flow.DYNAMIC):
        width, height = size
        few, many, low, high = (training.schedule[option] for option in _BY_SIZE)
        slope = (high - low) / (many - few)
        levels["mu"] = (width // TOKEN_SIDE) * (height // TOKEN_SIDE) * slope + (low - slope * few)
    return levels
