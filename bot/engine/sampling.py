"""The schedulers by their AUTOMATIC1111 names, mapped as in diffusers' documentation."""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import diffusers
import numpy as np
import torch

from bot.errors import JobFailed
from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY
from catalog.schedulers import FROM_NOISE
from catalog.weight_files.prediction import NOISE, Training

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
"""Name in a request → diffusers class and the options that differ from its defaults."""

_EDM_SOLVER: Final = "EDMDPMSolverMultistepScheduler"
_KARRAS_SIGMAS: Final = {"sigma_schedule": "karras"}
_STRAIGHT: Final = {"use_flow_sigmas": True}

CONTINUOUS: Final[dict[str, dict[str, tuple[str, dict[str, Any]]]]] = {
    EDM: {
        "DPM++ 2M Karras": (_EDM_SOLVER, _KARRAS_SIGMAS),
        "DPM++ 2M": (_EDM_SOLVER, {}),
        "DPM++ 2M SDE": (_EDM_SOLVER, _SDE),
        "DPM++ 2M SDE Karras": (_EDM_SOLVER, {**_SDE, **_KARRAS_SIGMAS}),
        "Euler": ("EDMEulerScheduler", {}),
    },
    FLOW: {
        "Euler": ("FlowMatchEulerDiscreteScheduler", {}),
        "Heun": ("FlowMatchHeunDiscreteScheduler", {}),
        "DPM++ 2M": ("DPMSolverMultistepScheduler", _STRAIGHT),
        "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {**_SDE, **_STRAIGHT}),
        "UniPC": ("UniPCMultistepScheduler", _STRAIGHT),
    },
}
"""The same for models of continuous noise levels, by their kind of noise (`NOISE`)."""

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
"""Options that describe the model's training. The others belong to the sampler that the model was
published with, and must not leak into the requested one."""

_DISTILLED_GRID: Final = 50
"""LCM and TCD pick their steps from a grid of this size; more steps need a finer one."""


_DIVIDING: Final = ("DDIMScheduler", "LCMScheduler", "TCDScheduler")
"""They divide by the signal, even where it is zero, unless the model predicts the velocity."""


def trained(training: Training) -> dict[str, Any]:
    """How a model was trained as options for `build`.

    A model with zero terminal SNR must be evaluated at the last timestep too, which only the
    spacing "trailing" does (section 3.3 of the paper).
    """
    config = {**training.schedule, "prediction_type": training.prediction}
    if training.zero_snr is not None:
        config["rescale_betas_zero_snr"] = training.zero_snr
    if training.zero_snr:
        config["timestep_spacing"] = "trailing"
    return config


def build(name: str, model_config: Mapping[str, Any], steps: int) -> Any:
    """A new diffusers scheduler: its state must not outlive one image.

    name: a key of SCHEDULERS. model_config: how the model was trained, from `trained`.

    Raises JobFailed when this scheduler does not know the model's kind of noise, or the model has
    zero terminal SNR and this scheduler cannot start there.
    """
    prediction = model_config.get("prediction_type", EPSILON)
    if (noise := NOISE.get(prediction)) in CONTINUOUS:
        return _continuous(name, prediction, CONTINUOUS[noise], model_config)
    if model_config.get("rescale_betas_zero_snr") and not _begins_at_zero(name, model_config):
        raise JobFailed("scheduler.zero_snr", scheduler=name, allowed=FROM_NOISE[prediction])
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


def _continuous(
    name: str,
    prediction: str,
    known: Mapping[str, tuple[str, dict[str, Any]]],
    model_config: Mapping[str, Any],
) -> Any:
    """A scheduler for a model of continuous noise levels. Raises JobFailed for an unfit `name`."""
    if name not in known:
        raise JobFailed(
            "scheduler.prediction", scheduler=name, prediction=prediction, allowed=tuple(known)
        )
    class_name, options = known[name]
    kind = getattr(diffusers, class_name)
    spelled = {EDM: EPSILON, EDM_VELOCITY: VELOCITY, FLOW: "flow_prediction"}[prediction]
    shift = model_config.get("shift", 1.0)
    offered = {**model_config, "prediction_type": spelled, "flow_shift": shift, **options}
    accepted = inspect.signature(kind.__init__).parameters
    return kind(**{option: value for option, value in offered.items() if option in accepted})


def initial_scale(scheduler: Any) -> Any:
    """The standard deviation of the noise that its first step starts from."""
    return getattr(scheduler, "init_noise_sigma", 1.0)


def noisy(
    scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """`clean` latents with the `noise` that the first of `timesteps` expects."""
    if hasattr(scheduler, "scale_noise"):  # a flow mixes the two
        mixed: torch.Tensor = scheduler.scale_noise(clean, timesteps[:1], noise)
        return mixed
    added: torch.Tensor = scheduler.add_noise(clean, noise, timesteps[:1])
    return added


def _begins_at_zero(name: str, model_config: Mapping[str, Any]) -> bool:
    """Whether a scheduler's first step can start from pure noise."""
    class_name, _ = SCHEDULERS[name]
    kind = getattr(diffusers, class_name)
    if "rescale_betas_zero_snr" not in inspect.signature(kind.__init__).parameters:
        return False
    return model_config.get("prediction_type") == "v_prediction" or class_name not in _DIVIDING


def set_steps(
    scheduler: Any,
    name: str,
    steps: int,
    spacing: str | None,
    device: str,
    ays: Sequence[int],
    usual: Mapping[str, Any],
) -> None:
    """Give a scheduler from `build` its timesteps: the usual ones, or those of AYS. It begins at
    the first of them.

    ays: the table of the model's family. usual: see `Family.timesteps`.
    Raises JobFailed when it does not take custom timesteps.
    """
    if spacing is None:
        accepted = inspect.signature(scheduler.set_timesteps).parameters
        own = {option: value for option, value in usual.items() if option in accepted}
        scheduler.set_timesteps(steps, device=device, **own)
    elif is_continuous(scheduler):
        raise JobFailed("scheduler.steps", spacing=spacing)
    elif not _takes_timesteps(scheduler):
        raise JobFailed("scheduler.spacing", scheduler=name, spacing=spacing)
    else:
        scheduler.set_timesteps(timesteps=ays_timesteps(scheduler, steps, ays), device=device)
    # Else diffusers looks for the first timestep among them. Karras' spacing of a model with zero
    # terminal SNR has it twice, the second is taken, and the last step is beyond the end.
    skip_to(scheduler, 0)


def is_continuous(scheduler: Any) -> bool:
    """Whether it is for a model of continuous noise levels, which has no discrete steps."""
    return not hasattr(scheduler, "alphas_cumprod") or bool(scheduler.config.get("use_flow_sigmas"))


def _takes_timesteps(scheduler: Any) -> bool:
    """Not with Karras' own spacing, nor the distilled schedulers, which have their fixed steps."""
    config = scheduler.config
    return (
        "timesteps" in inspect.signature(scheduler.set_timesteps).parameters
        and not config.get("use_karras_sigmas")
        and "original_inference_steps" not in config
    )


def ays_timesteps(scheduler: Any, steps: int, table: Sequence[int]) -> list[int]:
    """The timesteps of "Align Your Steps" (arXiv 2404.14507), from the noisiest down.

    table: the authors', for the model's family; used as it is for as many steps as it has. Other
        numbers follow the authors' page: the table's noise levels, extended by the lowest there
        is, are interpolated linearly in their logarithm; then the nearest timesteps are taken, no
        two the same.
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
    """How many of `steps` run over an initial image: as in diffusers, but at least one."""
    return max(1, int(steps * strength))


def skip_to(scheduler: Any, skipped: int) -> torch.Tensor:
    """Skip the first `skipped` steps; returns the remaining timesteps."""
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
