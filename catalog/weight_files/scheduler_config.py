"""What the scheduler configuration of a diffusers folder says about the training of its model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from catalog.lines import clean_line
from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY
from catalog.weight_files.json_object import NotAnObject, json_object
from catalog.weight_files.prediction import Claim, UnknownTraining, with_betas

WHERE: Final = "scheduler_config.json"
CONFIG_MAX: Final = 1024 * 1024
"""Bytes; a thousand `trained_betas` take 20,000."""

_DISCRETE: Final = frozenset(
    f"{name}Scheduler"
    for name in (
        *("DDIM", "DDIMParallel", "DDPM", "DDPMParallel", "PNDM", "LMSDiscrete", "EulerDiscrete"),
        *("EulerAncestralDiscrete", "HeunDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete"),
        *("DPMSolverMultistep", "DPMSolverSinglestep", "DPMSolverSDE", "DEISMultistep"),
        *("UniPCMultistep", "SASolver", "LCM", "TCD"),
    )
)
_EDM: Final = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
_FLOW: Final = (
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "FlowMatchLCMScheduler",
)
_CHOICES: Final = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "timestep_spacing": ("leading", "linspace", "trailing"),
    "sigma_schedule": ("karras", "exponential"),
}
_PREDICTIONS: Final = {"epsilon": EPSILON, "v_prediction": VELOCITY, "flow_prediction": FLOW}
_STEPS: Final = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    *("timestep_spacing", "steps_offset"),
)
_STEPS_MAX: Final = 100_000
_NO_FLOW: Final = ("use_dynamic_shifting", "invert_sigmas", "shift_terminal")
"""Options of a flow that change what the denoiser is asked, and that SDXL has no use for."""


def of_folder(folder: Path, *, own: bool) -> Claim:
    """What `scheduler/scheduler_config.json` below `folder` says.

    own: whether it is the model's own folder; False for one that only completes a single file.
    Raises UnknownTraining, also for files that are no JSON objects, and OSError.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if not config.get("_class_name"):
        try:
            listed = read_json(folder / "model_index.json").get("scheduler")
        except FileNotFoundError:
            listed = None
        if isinstance(listed, list) and len(listed) == 2:
            config["_class_name"] = listed[1]
    return of_config(config, own=own)


def of_config(config: Mapping[str, Any], *, own: bool) -> Claim:
    """What a scheduler's configuration says; see `of_folder`. Raises UnknownTraining."""
    kind = config.get("_class_name") or ""
    if not isinstance(kind, str):
        raise _unknown("_class_name", kind, (*sorted(_DISCRETE), *_EDM, *_FLOW))
    if kind in _EDM:
        return _of_edm(config)
    flows = config.get("use_flow_sigmas") is True or config.get("prediction_type") == (
        "flow_prediction"
    )
    if kind in _FLOW or (flows and kind in {*_DISCRETE, ""}):
        return _of_flow(config)
    if kind in _DISCRETE or (not kind and not config.keys() & {"sigma_data", "shift"}):
        return _of_steps(config, own=own)
    raise _unknown("_class_name", kind, (*sorted(_DISCRETE), *_EDM, *_FLOW))


def read_json(path: Path, most: int = CONFIG_MAX) -> dict[str, Any]:
    """The JSON object in `path`, of at most so many bytes. Raises UnknownTraining and OSError."""
    if path.is_fifo():
        raise UnknownTraining(f"{path.name} is not a file")  # opening it would block forever
    with path.open("rb") as file:
        raw = file.read(most + 1)
    try:
        return json_object(raw, most)
    except NotAnObject as error:
        raise UnknownTraining(f"{path.name} {error}") from None


def _of_steps(config: Mapping[str, Any], *, own: bool) -> Claim:
    """Discrete steps, as SDXL's own."""
    said = config.get("prediction_type", EPSILON)
    prediction = _PREDICTIONS.get(said) if isinstance(said, str) else None
    if prediction is None:
        raise _unknown("prediction_type", said, (*_PREDICTIONS,))
    if config.get("timestep_type") == "continuous":
        if prediction != VELOCITY:
            raise _unknown("timestep_type", "continuous", ("discrete",))
        sigmas = {key: config[key] for key in ("sigma_min", "sigma_max") if config.get(key)}
        return Claim(WHERE, EDM_VELOCITY, schedule=_checked(sigmas))
    schedule = {key: config[key] for key in _STEPS if config.get(key) is not None}
    zero_snr = config.get("rescale_betas_zero_snr")
    if zero_snr is not None and not isinstance(zero_snr, bool):
        raise _unknown("rescale_betas_zero_snr", zero_snr, ("true", "false"))
    firm = prediction != EPSILON or own
    return Claim(WHERE, prediction, firm, zero_snr, with_betas(_checked(schedule), WHERE))


def _of_edm(config: Mapping[str, Any]) -> Claim:
    said = config.get("prediction_type", EPSILON)
    if said not in (EPSILON, VELOCITY):
        raise _unknown("prediction_type", said, (EPSILON, VELOCITY))
    keys = ("sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "rho")
    # What is missing is the paper's, as in the class itself, whatever the model predicts.
    schedule = {"sigma_max": 80.0, "sigma_data": 0.5, "sigma_schedule": "karras"}
    schedule |= {key: config[key] for key in keys if config.get(key) is not None}
    return Claim(WHERE, EDM if said == EPSILON else EDM_VELOCITY, schedule=_checked(schedule))


def _of_flow(config: Mapping[str, Any]) -> Claim:
    for key in _NO_FLOW:
        if config.get(key):
            raise _unknown(key, config[key], ("false",))
    schedule = {key: config[key] for key in ("num_train_timesteps",) if config.get(key) is not None}
    shift = config.get("shift", config.get("flow_shift"))
    return Claim(WHERE, FLOW, schedule=_checked({**schedule, "shift": shift or 1.0}))


def _checked(schedule: dict[str, Any]) -> dict[str, Any]:
    """`schedule`, if every value is of the kind that its option takes. Raises UnknownTraining."""
    for key, value in schedule.items():
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                raise _unknown(key, value, _CHOICES[key])
        elif key == "trained_betas":
            _check_betas(value, schedule.get("num_train_timesteps", 1000))
        elif key in {"num_train_timesteps", "steps_offset"}:
            if type(value) is not int or not 0 <= value <= _STEPS_MAX:
                raise _unknown(key, value, ("a whole number",))
        elif not _is_number(value) or not 0 < value <= 1e6:
            raise _unknown(key, value, ("a positive number",))
    if schedule.get("sigma_min", 0) >= schedule.get("sigma_max", math.inf):
        raise _unknown("sigma_min", schedule["sigma_min"], ("less than sigma_max",))
    return schedule


def _check_betas(betas: object, steps: object) -> None:
    if betas is None:
        return
    whole = isinstance(betas, list) and len(betas) == steps
    if not whole or not all(_is_number(beta) and 0 < beta < 1 for beta in betas):  # type: ignore[attr-defined]
        raise UnknownTraining(f"{WHERE}: trained_betas must be {steps} numbers between 0 and 1")


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(value)  # type: ignore[arg-type]


def _unknown(key: str, value: object, allowed: tuple[str, ...]) -> UnknownTraining:
    shown = clean_line(str(value), 60) or "missing"
    return UnknownTraining(f"{WHERE}: {key} is {shown}; known are {', '.join(allowed)}")
