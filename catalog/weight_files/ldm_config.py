"""What the `.yaml` beside a checkpoint says about its training.

AUTOMATIC1111 and its relatives read such a file: a configuration of Stability's own code, of its
first generation (`ldm`: `parameterization`, `linear_start`) or of SDXL's (`sgm`: a denoiser of a
scaling and a discretization).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from catalog.lines import clean_line
from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, VELOCITY
from catalog.weight_files.prediction import Claim, UnknownTraining, spelled, truth, with_betas

YAML_MAX: Final = 16 * 1024
"""Bytes; the longest in use have 5,000, and a parser in Python is slow."""
BRACKETS_MAX: Final = 200
"""Lists and mappings in brackets; the parser's time grows with the square of how deep they are."""
SUFFIXES: Final = (".yaml", ".yml")
_SCALINGS: Final = {
    "EpsScaling": EPSILON,
    "VScaling": VELOCITY,
    "EDMScaling": EDM,
    "VScalingWithEDMcNoise": EDM_VELOCITY,
}
_DISCRETIZATIONS: Final = (
    "LegacyDDPMDiscretization",
    "ZeroSNRDDPMDiscretization",
    "EDMDiscretization",
)
_PREDICTION: Final = ("parameterization", "prediction_type")
_ZERO_SNR: Final = (
    *("zero_snr", "zsnr", "ztsnr", "use_ztsnr", "use_zero_snr", "zero_terminal_snr"),
    "rescale_betas_zero_snr",
)
_NUMBERS: Final = {
    "linear_start": "beta_start",
    "linear_end": "beta_end",
    "timesteps": "num_train_timesteps",
    "num_timesteps": "num_train_timesteps",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "sigma_data": "sigma_data",
    "rho": "rho",
}
"""Its options → those of diffusers."""


def beside(checkpoint: Path) -> Claim | None:
    """What the configuration beside a single-file checkpoint says; None if there is none.

    Raises UnknownTraining when it says something unknown or may not be read, and OSError.
    """
    for suffix in SUFFIXES:
        path = checkpoint.with_suffix(suffix)
        try:
            if path.exists() and not path.is_file():
                raise UnknownTraining(f"{path.name} is not a file")
            with path.open("rb") as file:
                raw = file.read(YAML_MAX + 1)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise UnknownTraining(f"{path.name} cannot be read ({error.strerror})") from error
        return of_text(raw, path.name)
    return None


def of_text(raw: bytes, name: str) -> Claim | None:
    """What such a configuration says; None if it is about something else.

    name: of its file. Raises UnknownTraining.
    """
    model, inner = _tables(raw, name)
    said = _first(model, _PREDICTION)
    prediction = None if said is None else spelled(said, f"{name}: parameterization")
    schedule: dict[str, Any] = {}
    zero_snr = None
    for key in _ZERO_SNR:
        if (text := _first(model, (key,))) is not None:
            zero_snr = truth(text, f"{name}: {key}")
    firm = prediction is not None
    denoiser = next((t["denoiser_config"] for t in model if "denoiser_config" in t), None)
    if denoiser is not None:
        scaling, options = _part(denoiser, "scaling_config")
        if scaling:
            if scaling not in _SCALINGS:
                raise _unknown(name, "scaling_config", scaling, (*_SCALINGS,))
            # An explicit word beside it is what its author added.
            prediction = prediction or _SCALINGS[scaling]
            firm = True
            schedule |= _numbers(options, name)
        discretization, options = _part(denoiser, "discretization_config")
        if discretization:
            if discretization not in _DISCRETIZATIONS:
                raise _unknown(name, "discretization_config", discretization, _DISCRETIZATIONS)
            zero_snr = True if discretization.startswith("ZeroSNR") else zero_snr
            schedule |= _numbers(options, name)
    for table in inner:
        schedule |= _numbers(table, name)
    if prediction is None and not schedule and zero_snr is None:
        return None
    if any(option.startswith("beta_") for option in schedule):
        # Stability's "linear" is linear in the square roots, diffusers' "scaled_linear".
        schedule = with_betas({**schedule, "beta_schedule": "scaled_linear"}, name)
        schedule["trained_betas"] = None
    return Claim(name, prediction or EPSILON, firm, zero_snr, schedule)


def _tables(raw: bytes, name: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The tables that may speak of the training, the innermost first; all, and those of the model.

    Raises UnknownTraining.
    """
    import yaml  # few checkpoints have such a file, and each start would wait for it

    if len(raw) > YAML_MAX:
        raise UnknownTraining(f"{name} is larger than {YAML_MAX} bytes")
    if raw.count(b"[") + raw.count(b"{") > BRACKETS_MAX:
        raise UnknownTraining(f"{name} has more than {BRACKETS_MAX} lists and mappings in brackets")
    try:
        # Only texts, lists and mappings: no tags, no merge keys, nothing is run or multiplied.
        root = yaml.load(raw, Loader=yaml.BaseLoader)  # noqa: S506 – safer than the safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UnknownTraining(f"{name} is not YAML") from None
    model = root.get("model") if isinstance(root, dict) else None
    params = model.get("params") if isinstance(model, dict) else None
    inner: list[Mapping[str, Any]] = [t for t in (params, model) if isinstance(t, dict)]
    return [*inner, *([root] if isinstance(root, dict) else [])], inner


def _first(tables: list[Mapping[str, Any]], keys: tuple[str, ...]) -> str | None:
    for table in tables:
        for key in keys:
            if isinstance(text := table.get(key), str) and text.strip():
                return text
    return None


def _part(denoiser: object, key: str) -> tuple[str, Mapping[str, Any]]:
    """The class's bare name and the options of one part of a denoiser; ("", {}) without it."""
    for table in (denoiser.get("params") if isinstance(denoiser, dict) else None, denoiser):
        part = table.get(key) if isinstance(table, dict) else None
        if isinstance(part, dict) and isinstance(part.get("target"), str):
            options = part.get("params")
            return part["target"].rpartition(".")[2], options if isinstance(options, dict) else {}
    return "", {}


def _numbers(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The options of `table` that describe the noise, under diffusers' names."""
    schedule: dict[str, Any] = {}
    for key, option in _NUMBERS.items():
        if not isinstance(text := table.get(key), str):
            continue
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            number = math.nan
        if not 0 < number <= 1e6:
            raise _unknown(name, key, text, ("a positive number",))
        schedule[option] = int(number) if option == "num_train_timesteps" else number
    return schedule


def _unknown(name: str, key: str, value: str, allowed: tuple[str, ...]) -> UnknownTraining:
    return UnknownTraining(
        f"{name}: {key} is {clean_line(value, 60)!r}; known are {', '.join(allowed)}"
    )
