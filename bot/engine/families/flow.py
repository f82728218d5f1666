"""Models of a flow (rectified flow, arXiv 2209.03003): how their schedulers may be configured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from catalog import ModelEntry
from catalog.predictions import FLOW
from catalog.weight_files.prediction import Training, UnknownTraining
from catalog.weight_files.scheduler_config import WHERE, read_json

DYNAMIC: Final = "use_dynamic_shifting"
"""The option that makes the shift of noise levels depend on the image."""
SHIFT_MAX: Final = 1e6
BY_SIZE: Final[Mapping[str, float]] = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 4_096,
    "base_shift": 0.5,
    "max_shift": 1.15,
}
"""Where the shift grows evenly with the image: tokens of a small and of a large one, and their
shifts μ, as FLUX.1's authors have them (black-forest-labs/flux src/flux/sampling.py, `get_schedule`
and diffusers' `calculate_shift`)."""
_KIND: Final = "FlowMatchEulerDiscreteScheduler"
_USUAL: Final[Mapping[str, object]] = {
    "num_train_timesteps": 1_000,
    "time_shift_type": "exponential",
    "invert_sigmas": False,
    "shift_terminal": None,
    "stochastic_sampling": False,
    **dict.fromkeys(("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"), False),
}
"""Options that would change what the denoiser is asked."""


def training(
    root: Path, entry: ModelEntry, family: str, further: Mapping[str, float] | None = None
) -> Training:
    """See `Family.training`: a flow, with its shift, which is dynamic or fixed.

    It is what the scheduler's configuration below `root` says, and fixed where the entry has one.
    family: for errors. further: other numbers that the configuration may have, with their defaults.
    Raises UnknownTraining, and OSError.
    """
    if entry.prediction not in {None, FLOW}:
        raise UnknownTraining(f"its entry says {entry.prediction}; {family} predicts {FLOW}")
    config = read_json(root / "scheduler" / WHERE)
    kind = config.get("_class_name", _KIND)
    if kind != _KIND:
        raise UnknownTraining(f"{WHERE} is for {str(kind)[:60]}; known is {_KIND}")
    for option, value in _USUAL.items():
        if config.get(option, value) != value:
            said = str(config[option])[:60]
            raise UnknownTraining(f"{WHERE}: {option} is {said}; known is {value}")
    numbers: dict[str, Any] = {
        option: config.get(option, usual)
        for option, usual in {"shift": 1.0, **(further or {})}.items()
    }
    for option, value in numbers.items():
        if type(value) not in {int, float} or not 0 < value <= SHIFT_MAX:
            raise UnknownTraining(f"{WHERE}: {option} is no number from 0 to {SHIFT_MAX:g}")
    dynamic = config.get(DYNAMIC, False)
    if type(dynamic) is not bool:
        raise UnknownTraining(f"{WHERE}: {DYNAMIC} is neither true nor false")
    if entry.shift is not None:
        dynamic, numbers["shift"] = False, entry.shift
    return Training(FLOW, None, {DYNAMIC: dynamic, **numbers})


def levels(
    training: Training, size: tuple[int, int], steps: int, token_side: int
) -> dict[str, Any]:
    """See `Family.timesteps`: evenly spaced, and shifted by BY_SIZE where the shift is dynamic.

    training: from the function of that name, with BY_SIZE. token_side: pixels along each side of
        what is one token for the transformer.
    """
    found: dict[str, Any] = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
    if training.schedule.get(DYNAMIC):
        width, height = size
        few, many, low, high = (training.schedule[option] for option in BY_SIZE)
        slope = (high - low) / (many - few)
        found["mu"] = (width // token_side) * (height // token_side) * slope + (low - slope * few)
    return found
