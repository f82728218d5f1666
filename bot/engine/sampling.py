"""The schedulers by their AUTOMATIC1111 names, mapped as diffusers' documentation does."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, Final

import diffusers

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


def build(name: str, model_config: Mapping[str, Any], steps: int) -> Any:
    """A new diffusers scheduler: its state must not outlive one image.

    name: a key of SCHEDULERS. model_config: of the scheduler that the model was published with.
    """
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


def describe(scheduler: Any) -> dict[str, Any]:
    """Class and full configuration as JSON types, for the recipe."""
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    for key, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            config[key] = str(value)
    return {"class": type(scheduler).__name__, **config}
