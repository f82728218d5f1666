"""The schedulers by their AUTOMATIC1111 names, mapped as diffusers' documentation does."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import diffusers
import numpy as np
import torch

from bot.errors import JobFailed
from catalog import ModelEntry

_KARRAS: Final = {"use_karras_sigmas": True}
_SDE: Final = {"algorithm_type": "sde-dpmsolver++"}
_UNCLIPPED: Final = {"clip_sample": False, "set_alpha_to_one": False}

SCHEDULERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", _KARRAS),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", _SDE),
    "DPM++ 2M SDE Karras": ("DPMSolverMultistepScheduler", {**_SDE, **_KARRAS}),
    "DPM++ SDE Karras": (
        "DPMSolverSinglestepScheduler",
        {**_SDE, **_KARRAS, "lower_order_final": True},  # odd step counts need it
    ),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Euler trailing": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DDIM": ("DDIMScheduler", _UNCLIPPED),
    "LCM": ("LCMScheduler", _UNCLIPPED),
    "TCD": ("TCDScheduler", _UNCLIPPED),
}
"""Name in a request → diffusers class and what is set apart from its defaults."""

MODEL_OPTIONS: Final = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "timestep_spacing",
    "steps_offset",
)
"""What a model was trained with. The rest of its scheduler's configuration is a matter of the
sampler that it was published with, and would leak into the one asked for."""

_DISTILLED_GRID: Final = 50
"""LCM and TCD pick their steps from a grid of this many; more steps need a finer one."""


_DIVIDING: Final = ("DDIMScheduler", "LCMScheduler", "TCDScheduler")
"""Where the signal is nothing they divide by it, unless the model predicts the velocity."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a checkpoint was trained to predict, as far as it is stated; None where it is not.

    prediction: diffusers' `prediction_type`. zero_snr: whether the last timestep is noise alone
        (zero terminal SNR, arXiv 2305.08891).
    """

    prediction: str | None = None
    zero_snr: bool | None = None


def trained(config: Mapping[str, Any], file: Training, entry: ModelEntry) -> dict[str, Any]:
    """The scheduler's `config` of a model with what its `file` says, and above all its `entry`.

    A model of zero terminal SNR has to be asked at the last timestep too, which only the spacing
    "trailing" does (section 3.3 of the paper).
    """
    config = dict(config)
    if prediction := entry.prediction or file.prediction:
        config["prediction_type"] = prediction
    zero_snr = file.zero_snr if entry.zero_terminal_snr is None else entry.zero_terminal_snr
    if zero_snr is not None:
        config["rescale_betas_zero_snr"] = zero_snr
    if config.get("rescale_betas_zero_snr"):
        config["timestep_spacing"] = "trailing"
    return config


def build(name: str, model_config: Mapping[str, Any], steps: int) -> Any:
    """A new diffusers scheduler: its state must not outlive one image.

    name: a key of SCHEDULERS. model_config: of the scheduler that the model was published with.

    Raises JobFailed when the model has zero terminal SNR, and this scheduler cannot begin there.
    """
    if model_config.get("rescale_betas_zero_snr") and not _begins_at_zero(name, model_config):
        allowed = [other for other in SCHEDULERS if _begins_at_zero(other, model_config)]
        raise JobFailed("scheduler.zero_snr", scheduler=name, allowed=tuple(allowed))
    class_name, options = SCHEDULERS[name]
    kind = getattr(diffusers, class_name)
    accepted = inspect.signature(kind.__init__).parameters
    of_model = {
        option: model_config[option]
        for option in MODEL_OPTIONS
        if option in model_config and option in accepted
    }
    if "original_inference_steps" in accepted:
        options = {**options, "original_inference_steps": max(_DISTILLED_GRID, steps)}
    return kind(**{**of_model, **options})


def _begins_at_zero(name: str, model_config: Mapping[str, Any]) -> bool:
    """Whether a scheduler can take the noise alone for its first step."""
    class_name, _ = SCHEDULERS[name]
    kind = getattr(diffusers, class_name)
    if "rescale_betas_zero_snr" not in inspect.signature(kind.__init__).parameters:
        return False
    return model_config.get("prediction_type") == "v_prediction" or class_name not in _DIVIDING


def set_steps(
    scheduler: Any, name: str, steps: int, spacing: str | None, device: str, ays: Sequence[int]
) -> None:
    """Give a scheduler from `build` its timesteps: its own, or those of AYS.

    ays: the table of the model's family. Raises JobFailed when it takes none from outside.
    """
    if spacing is None:
        scheduler.set_timesteps(steps, device=device)
        return
    if not _takes_timesteps(scheduler):
        raise JobFailed("scheduler.spacing", scheduler=name, spacing=spacing)
    scheduler.set_timesteps(timesteps=ays_timesteps(scheduler, steps, ays), device=device)


def _takes_timesteps(scheduler: Any) -> bool:
    """Karras' spacing is one of its own; the distilled schedulers know the steps they learnt."""
    config = scheduler.config
    return (
        "timesteps" in inspect.signature(scheduler.set_timesteps).parameters
        and not config.get("use_karras_sigmas")
        and "original_inference_steps" not in config
    )


def ays_timesteps(scheduler: Any, steps: int, table: Sequence[int]) -> list[int]:
    """The timesteps of "Align Your Steps" (arXiv 2404.14507), from the noisiest down.

    table: the authors', for the model's family; it is what as many steps as it has get. Any other
        number is what their page describes: the table's noise levels, and the lowest there is as
        one more, interpolated linearly in their logarithm; then the nearest timesteps, no two the
        same.
    """
    if steps == len(table):
        return list(table)
    signal = scheduler.alphas_cumprod.double().numpy()
    levels = np.log(np.sqrt((1 - signal) / signal))
    known = levels[[*table, 0]]
    wanted = np.interp(np.linspace(0, len(table), steps + 1)[:-1], np.arange(len(known)), known)
    times = [int(time) for time in np.interp(wanted, levels, np.arange(len(levels))).round()]
    for place in range(len(times) - 2, -1, -1):
        times[place] = max(times[place], times[place + 1] + 1)
    return times


def taken(steps: int, strength: float) -> int:
    """How many of `steps` are painted over a picture: as diffusers counts, but one at least."""
    return max(1, int(steps * strength))


def skip_to(scheduler: Any, skipped: int) -> torch.Tensor:
    """Begin after so many steps; returns the timesteps that are left."""
    first = skipped * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    left: torch.Tensor = scheduler.timesteps[first:]
    return left


def describe(scheduler: Any) -> dict[str, Any]:
    """Class and full configuration as JSON types, for the recipe."""
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    for key, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            config[key] = str(value)
    return {"class": type(scheduler).__name__, **config}
