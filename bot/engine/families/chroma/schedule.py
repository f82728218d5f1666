"""Chroma's noise levels: evenly spaced, or by a beta distribution as its base model's."""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.engine.families import flow
from bot.engine.families.kl16 import TOKEN_SIDE
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

_SHAPE: Final = 0.6
"""Both parameters of the distribution, as diffusers has them (`use_beta_sigmas`)."""
_TERMS: Final = 60
_HALVINGS: Final = 60


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`."""
    return flow.training(root, entry, "Chroma", flow.BY_SIZE, beta=True)


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    found = flow.levels(training, size, steps, TOKEN_SIDE)
    if not training.schedule.get(flow.BETA):
        return found
    # The levels are spaced after they are shifted, and the scheduler shifts what it is given.
    shift = math.exp(found["mu"]) if "mu" in found else training.schedule["shift"]
    lowest = shift / (steps + shift - 1)
    wanted = lowest + (1 - lowest) * quantiles(1 - np.linspace(0, 1, steps))
    return {**found, "sigmas": wanted / (shift - (shift - 1) * wanted)}


def quantiles(of: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Where the distribution has these shares, from 0 to 1, below it.

    By halving the interval of a series that converges fast in the lower half; the distribution is
    symmetric.
    """
    lower = np.minimum(of, 1 - of)
    low, high = np.zeros_like(lower), np.full_like(lower, 0.5)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = _below(middle) < lower
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = np.where(lower > 0, high, 0.0)
    return np.where(of > 0.5, 1 - found, found)


def _below(at: Any) -> Any:
    """The distribution's share below `at`, which is at most 0.5 (DLMF 8.17.8)."""
    whole = math.gamma(_SHAPE) ** 2 / math.gamma(2 * _SHAPE)
    term, total = np.ones_like(at), np.zeros_like(at)
    for number in range(_TERMS):
        total = total + term / (_SHAPE + number)
        term = term * at * (number + 1 - _SHAPE) / (number + 1)
    return at**_SHAPE * total / whole
