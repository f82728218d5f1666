"""Z-Image's noise levels: evenly spaced, then shifted towards noise."""

from dataclasses import replace
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


def training(root: Path, entry: ModelEntry, *, single: bool) -> Training:
    """See `Family.training`.

    A folder may complete a file of another variant, whose shift is not that of the folder.
    """
    said = flow.training(root, entry, "Z-Image", _BY_SIZE)
    own = entry.sampled_as.shift
    others = {each.shift for each in entry.family.variants} - {own}
    dynamic, shift = (said.schedule[option] for option in (flow.DYNAMIC, "shift"))
    if not single or entry.shift is not None or dynamic or shift not in others or own is None:
        return said
    return replace(said, schedule={**said.schedule, "shift": own})


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    levels: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(flow.DYNAMIC):
        width, height = size
        few, many, low, high = (training.schedule[option] for option in _BY_SIZE)
        slope = (high - low) / (many - few)
        levels["mu"] = (width // TOKEN_SIDE) * (height // TOKEN_SIDE) * slope + (low - slope * few)
    return levels
