"""Krea 2's noise levels: evenly spaced, then shifted towards noise.

Those of Raw by the image's size, those of Turbo as of large images, whatever the size
(huggingface/diffusers src/diffusers/pipelines/krea2/pipeline_krea2.py).
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from bot.engine.families import flow
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

_BY_SIZE: Final = {**flow.BY_SIZE, "max_image_seq_len": 6_400}
_OF_TURBO: Final = {"base_shift": 1.15, "max_shift": 1.15}


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`.

    Both variants are published with the same configuration of a scheduler.
    """
    said = flow.training(root, entry, "Krea 2", _BY_SIZE)
    if not entry.sampled_as.distilled:
        return said
    return replace(said, schedule={**said.schedule, **_OF_TURBO})
