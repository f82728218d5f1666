"""FLUX.2's noise levels: evenly spaced, then shifted towards noise by size and number of steps."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.engine.families import flow
from bot.engine.families.flux2.latents import VAE_SCALE
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

TOKENS_STEEP: Final = 4_300
"""Tokens above which the number of steps no longer matters."""


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`."""
    return flow.training(root, entry, "FLUX.2")


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    levels: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(flow.DYNAMIC):
        width, height = size
        tokens = (width // VAE_SCALE) * (height // VAE_SCALE)
        levels["mu"] = shift(tokens, steps)
    return levels


def shift(tokens: int, steps: int) -> float:
    """The shift μ: a level s becomes e^μ / (e^μ + 1/s - 1).

    tokens: of the image that is generated, without its prompt and references.

    Fitted by the authors to 10 and 200 steps, linear between them and beyond
    (black-forest-labs/flux2 src/flux2/sampling.py, `compute_empirical_mu`).
    """
    at_200 = 0.00016927 * tokens + 0.45666666
    if tokens > TOKENS_STEEP:
        return at_200
    at_10 = 8.73809524e-05 * tokens + 1.89833333
    slope = (at_200 - at_10) / 190.0
    return slope * steps + (at_200 - 200.0 * slope)
