"""FLUX.2's noise levels: evenly spaced, then shifted towards noise by size and number of steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.engine.families.flux2.latents import VAE_SCALE
from catalog import ModelEntry
from catalog.weight_files.prediction import FLOW, Training, UnknownTraining
from catalog.weight_files.scheduler_config import WHERE, read_json

TOKENS_STEEP: Final = 4_300
"""Tokens above which the number of steps no longer matters."""
SHIFT_MAX: Final = 1e6


_SHIFTED: Final = "use_dynamic_shifting"
_KIND: Final = "FlowMatchEulerDiscreteScheduler"
_USUAL: Final[Mapping[str, object]] = {
    "num_train_timesteps": 1_000,
    "time_shift_type": "exponential",
    "invert_sigmas": False,
    "shift_terminal": None,
    "stochastic_sampling": False,
    **dict.fromkeys(("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"), False),
}
"""Options of the scheduler's configuration that would change what the transformer is asked."""


def training(root: Path, entry: ModelEntry) -> Training:
    """See `Family.training`: a flow, with the shift of `shift`, or a fixed one.

    A fixed one is where the entry says which, or the configuration below `root` says that the
    shift is not dynamic. Raises UnknownTraining, and OSError.
    """
    if entry.prediction not in {None, FLOW}:
        raise UnknownTraining(f"its entry says {entry.prediction}; FLUX.2 predicts {FLOW}")
    config = read_json(root / "scheduler" / WHERE)
    kind = config.get("_class_name", _KIND)
    if kind != _KIND:
        raise UnknownTraining(f"{WHERE} is for {str(kind)[:60]}; known is {_KIND}")
    for option, value in _USUAL.items():
        if config.get(option, value) != value:
            said = str(config[option])[:60]
            raise UnknownTraining(f"{WHERE}: {option} is {said}; known is {value}")
    dynamic, fixed = config.get(_SHIFTED, False), config.get("shift", 1.0)
    if type(dynamic) is not bool or type(fixed) not in {int, float} or not 0 < fixed <= SHIFT_MAX:
        raise UnknownTraining(f"{WHERE}: {_SHIFTED} and shift are no truth value and number")
    if entry.shift is not None:
        dynamic, fixed = False, entry.shift
    return Training(FLOW, None, {_SHIFTED: dynamic, "shift": fixed})


def timesteps(training: Training, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """See `Family.timesteps`."""
    levels: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(_SHIFTED):
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
