"""What a checkpoint was trained to predict: every source that says so, and what follows from them.

Trainers and programs each write it elsewhere: as marker tensors, as metadata, into a `.yaml` beside
the file (`ldm_config`), or into the scheduler configuration of a diffusers folder
(`scheduler_config`). Each source makes a `Claim`; `resolved` weighs them.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from catalog.lines import clean_line
from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, PREDICTIONS, VELOCITY
from catalog.weight_files.header import Header

NOISE: Final = {EPSILON: "steps", VELOCITY: "steps", EDM: EDM, EDM_VELOCITY: EDM, FLOW: FLOW}
"""Prediction → the kind of noise schedule that belongs to it."""

_SPELLINGS: Final = {
    **dict.fromkeys(("epsilon", "eps", "epsilon_prediction", "eps_prediction", "noise"), EPSILON),
    **dict.fromkeys(
        ("v", "v_prediction", "v_pred", "vpred", "vprediction", "v_parameterization", "velocity"),
        VELOCITY,
    ),
    **dict.fromkeys(("edm", "edm_playground_v2.5"), EDM),
    **dict.fromkeys(("edm_v_prediction", "edm_vpred", "edm_v", "v_prediction_edm"), EDM_VELOCITY),
    **dict.fromkeys(("flow", "flow_prediction", "flow_match", "flow_matching", "flowmatch"), FLOW),
    **dict.fromkeys(("rectified_flow", "rf", "rflow"), FLOW),
}
_WORDS_OF: Final = ("modelspec.prediction_type", "modelspec.predict_key", "prediction_type")
"""Metadata with one of `_SPELLINGS`: of the model specification, of ComfyUI, and bare."""
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_UNSAID: Final = ("", "none", "null")

_BEFORE_MARKERS: Final = ("", "model.", "model.diffusion_model.")
"""What programs leave in front of a marker's name when they save the denoiser with it."""
_SIGMA_MAX: Final = "edm_vpred.sigma_max"
_SIGMA_MIN: Final = "edm_vpred.sigma_min"
_NUMBERS_MAX: Final = 64
_CHANNELS: Final = 4
"""Of SDXL's latents."""
_UNPACK: Final = {"F64": "d", "F32": "f", "F16": "e"}

EDM_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    EDM: {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "sigma_schedule": "karras"},
    EDM_VELOCITY: {
        "sigma_min": 0.002,
        "sigma_max": 120.0,
        "sigma_data": 1.0,
        "sigma_schedule": "exponential",
    },
}
"""Where a file does not say: the paper's numbers, which Playground v2.5 has, and those of CosXL."""
MOMENTS_SCALE: Final = 0.5
"""The scale that goes with the tensors edm_mean and edm_std; SDXL's own is 0.13025."""
SDXL_BETAS: Final[Mapping[str, Any]] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
"""The noise schedule of SDXL (sgm's `LegacyDDPMDiscretization`), which its fine-tunes keep."""


class UnknownTraining(Exception):
    """What the files say is unknown, malformed or contradictory; the message says it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says; None or empty where it does not.

    where: the source, in words. prediction: one of PREDICTIONS.
    firm: False for what programs write without knowing, which any other source overrides.
    zero_snr: whether the last step is pure noise (zero terminal SNR, arXiv 2305.08891).
    schedule: of the noise, by diffusers' option names.
    """

    where: str
    prediction: str | None = None
    firm: bool = True
    zero_snr: bool | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Training:
    """What a checkpoint was trained to predict.

    prediction: one of PREDICTIONS. zero_snr: None where nothing says.
    schedule: of the noise, complete, by diffusers' option names.
    """

    prediction: str = EPSILON
    zero_snr: bool | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation of the latents that the denoiser was trained on, per channel.

    Latents are scaled by MOMENTS_SCALE and divided by `deviation` after `mean` is subtracted.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def spelled(value: str, where: str) -> str:
    """The member of PREDICTIONS that `value` is a spelling of. Raises UnknownTraining."""
    plain = value.strip().lower().replace("-", "_").replace(" ", "_")
    if plain not in _SPELLINGS:
        shown = clean_line(value, 40)
        raise UnknownTraining(f"{where} is {shown!r}, which is none of {', '.join(PREDICTIONS)}")
    return _SPELLINGS[plain]


def truth(value: str, where: str) -> bool:
    """`value` as a yes or no. Raises UnknownTraining."""
    try:
        return _TRUTHS[value.strip().lower()]
    except KeyError:
        shown = clean_line(value, 40)
        raise UnknownTraining(f"{where} is {shown!r}, which is neither true nor false") from None


def of_metadata(metadata: Mapping[str, str], where: str = "its metadata") -> list[Claim]:
    """What the metadata of a checkpoint say. where: they are. Raises UnknownTraining."""
    claims = []
    for key in _WORDS_OF:
        if (text := metadata.get(key, "").strip()).lower() in _UNSAID:
            continue
        prediction = spelled(text, f"{where} {key}")
        if text.lower() == "velocity" and metadata.get("modelspec.noise_process") == "flow":
            prediction = FLOW
        # Trainers and mergers write epsilon wherever they were not told otherwise.
        claims.append(Claim(f"{where} {key}", prediction, firm=prediction != EPSILON))
    for key in ("ss_v_parameterization", "v_parameterization", "v_pred"):
        if (text := metadata.get(key, "").strip()).lower() in _UNSAID:
            continue
        if truth(text, f"{where} {key}"):
            claims.append(Claim(f"{where} {key}", VELOCITY))
    for key in ("ss_zero_terminal_snr", "zero_terminal_snr", "ztsnr"):
        text = metadata.get(key, "").strip()
        if text.lower() not in _UNSAID and truth(text, f"{where} {key}"):
            claims.append(Claim(f"{where} {key}", zero_snr=True))
    return claims


def of_markers(tensors: Iterable[str], numbers: Mapping[str, Sequence[float]] = {}) -> list[Claim]:
    """What the marker tensors of a checkpoint say.

    numbers: the contents of small tensors, by name. Raises UnknownTraining.
    """
    found = _markers(tensors)
    claims = []
    if "v_pred" in found:
        claims.append(Claim("its tensor v_pred", VELOCITY))
    if "ztsnr" in found:
        claims.append(Claim("its tensor ztsnr", zero_snr=True))
    if _SIGMA_MAX in found or _SIGMA_MIN in found:
        schedule = {}
        for name, option in ((_SIGMA_MIN, "sigma_min"), (_SIGMA_MAX, "sigma_max")):
            if name in found and found[name] in numbers:
                schedule[option] = _one_sigma(numbers[found[name]], name)
        if schedule.get("sigma_min", 0.0) >= schedule.get("sigma_max", math.inf):
            raise UnknownTraining(f"its tensor {_SIGMA_MIN} is not below {_SIGMA_MAX}")
        claims.append(Claim(f"its tensor {_SIGMA_MAX}", EDM_VELOCITY, schedule=schedule))
    if "edm_mean" in found or "edm_std" in found:
        for name in ("edm_mean", "edm_std"):
            if name not in found:
                raise UnknownTraining(f"it lacks the tensor {name}")
        claims.append(Claim("its tensor edm_mean", EDM))
    return claims


def moments_of(tensors: Iterable[str], numbers: Mapping[str, Sequence[float]]) -> Moments | None:
    """The latents' moments that a checkpoint brings along; None if it has none.

    Raises UnknownTraining.
    """
    found = _markers(tensors)
    if not {"edm_mean", "edm_std"} <= found.keys():
        return None
    mean, deviation = (tuple(numbers.get(found[n], ())) for n in ("edm_mean", "edm_std"))
    whole = len(mean) == len(deviation) == _CHANNELS
    if not whole or not all(map(math.isfinite, mean + deviation)):
        raise UnknownTraining(f"its tensors edm_mean and edm_std are not {_CHANNELS} numbers each")
    if min(deviation) <= 0:
        raise UnknownTraining("its tensor edm_std is not positive")
    return Moments(mean, deviation)


def numbers_of(path: Path, header: Header) -> dict[str, tuple[float, ...]]:
    """The contents of the marker tensors in `path`, whose header this is. Raises OSError."""
    names = [*_markers(header.shapes).values()]
    numbers: dict[str, tuple[float, ...]] = {}
    if not names:
        return numbers
    with path.open("rb") as file:
        for name in names:
            dtype, size = header.dtypes[name], header.sizes[name]
            if not 0 < size <= _NUMBERS_MAX:
                continue
            file.seek(header.data_start + header.starts[name])
            raw = file.read(size)
            if dtype == "BF16":  # the upper half of an F32
                raw = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2))
                dtype = "F32"
            if dtype in _UNPACK and len(raw) % struct.calcsize(_UNPACK[dtype]) == 0:
                numbers[name] = tuple(n for (n,) in struct.iter_unpack("<" + _UNPACK[dtype], raw))
    return numbers


def with_betas(schedule: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`schedule` with SDXL's betas where it has none, as diffusers would take those of another.

    where: the source, in words. Raises UnknownTraining when some are there that are not SDXL's,
    and the others are missing.
    """
    there = {key: schedule[key] for key in SDXL_BETAS if schedule.get(key) is not None}
    if schedule.get("trained_betas") is not None or len(there) == len(SDXL_BETAS):
        return dict(schedule)
    if not there.items() <= SDXL_BETAS.items():
        missing = next(key for key in SDXL_BETAS if key not in there)
        raise UnknownTraining(f"{where} has betas of its own, but no {missing}")
    return {**schedule, **SDXL_BETAS}


def resolved(
    claims: Sequence[Claim],
    prediction: str | None = None,
    zero_snr: bool | None = None,
    shift: float | None = None,
) -> Training:
    """What follows from `claims`, of rising precedence in their schedules.

    prediction, zero_snr, shift: what the owner says, which overrides all claims.
    Raises UnknownTraining when two claims contradict each other.
    """
    if prediction is None:
        prediction = _agreed(claims)
    schedule: dict[str, Any] = dict(EDM_DEFAULTS.get(prediction, {}))
    for claim in claims:
        if NOISE.get(claim.prediction or prediction) != NOISE[prediction]:
            continue
        if NOISE[prediction] == EDM and claim.prediction != prediction:
            continue
        schedule |= claim.schedule
    if zero_snr is None:
        said = [claim.zero_snr for claim in claims if claim.zero_snr is not None]
        zero_snr = any(said) if said else None
    if NOISE[prediction] == "steps":
        return Training(prediction, zero_snr, with_betas(schedule, "its configuration"))
    if prediction == FLOW:
        schedule["shift"] = schedule.get("shift", 1.0) if shift is None else shift
    return Training(prediction, None, schedule)  # the SNR at the end is one of discrete steps


def _agreed(claims: Sequence[Claim]) -> str:
    """The one prediction that all firm claims agree on, else what the others say, else epsilon."""
    firm = {claim.prediction: claim for claim in claims if claim.prediction and claim.firm}
    if EDM_VELOCITY in firm:
        # ComfyUI marks such a model as one of v-prediction too.
        firm.pop(VELOCITY, None)
    if len(firm) > 1:
        said = " but ".join(f"{claim.where} says {kind}" for kind, claim in firm.items())
        raise UnknownTraining(said)
    if firm:
        return str(next(iter(firm)))
    return next((claim.prediction for claim in reversed(claims) if claim.prediction), EPSILON)


def _markers(tensors: Iterable[str]) -> dict[str, str]:
    """Marker → its name in the file."""
    names = {*tensors}
    markers = ("v_pred", "ztsnr", _SIGMA_MAX, _SIGMA_MIN, "edm_mean", "edm_std")
    return {
        marker: before + marker
        for marker in markers
        for before in reversed(_BEFORE_MARKERS)
        if before + marker in names
    }


def _one_sigma(numbers: Sequence[float], name: str) -> float:
    if len(numbers) != 1 or not (math.isfinite(numbers[0]) and numbers[0] > 0):
        raise UnknownTraining(f"its tensor {name} is not one positive number")
    return numbers[0]
