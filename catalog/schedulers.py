"""Names of schedulers and timesteps as users know them; the engine implements them."""

from collections.abc import Mapping
from typing import Final

from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY

SCHEDULERS: Final = (
    "DPM++ 2M Karras",
    "DPM++ 2M",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Karras",
    "DPM++ SDE Karras",
    "Euler",
    "Euler a",
    "Euler trailing",
    "Heun",
    "UniPC",
    "DDIM",
    "LCM",
    "TCD",
)
"""Every scheduler that an entry or a request may name, with AUTOMATIC1111's names."""

_OF_EDM: Final = ("DPM++ 2M Karras", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "Euler")
FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    EDM: _OF_EDM,
    EDM_VELOCITY: _OF_EDM,
    FLOW: ("Euler", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "UniPC"),
}
"""Prediction → the schedulers that can follow it, the default first; all of them where it is not
listed. The others count in the discrete steps that such a model was not trained on."""

_FROM_NOISE: Final = ("Euler", "Euler a", "Euler trailing", "DPM++ 2M", "DPM++ 2M SDE", "UniPC")
FROM_NOISE: Final[Mapping[str, tuple[str, ...]]] = {
    EPSILON: _FROM_NOISE,
    VELOCITY: (*_FROM_NOISE, "DDIM", "LCM", "TCD"),
}
"""The same for models of discrete steps with zero terminal SNR (arXiv 2305.08891), whose first step
is pure noise. Euler is what the authors of NoobAI-XL V-Pred ask for. Karras' spacing is between the
lowest and the highest noise level, which has no bound there: it takes most of the steps above
what other models begin with. The remaining ones cannot begin there."""

AYS: Final = "AYS"
"""Timesteps as in "Align Your Steps" (arXiv 2404.14507), instead of the scheduler's own."""


def from_noise(prediction: str | None, zero_snr: bool | None) -> bool:
    """Whether a model's first step is pure noise."""
    return bool(zero_snr) and prediction not in FITTING


def narrowed(prediction: str | None, zero_snr: bool | None) -> bool:
    """Whether not all schedulers fit a model that was trained so."""
    return prediction in FITTING or from_noise(prediction, zero_snr)


def fitting(
    prediction: str | None, zero_snr: bool | None, schedulers: tuple[str, ...]
) -> tuple[str, ...]:
    """Those of `schedulers` that suit a model, the default first.

    prediction, zero_snr: how it was trained, None where nothing says.
    """
    if from_noise(prediction, zero_snr):
        known = FROM_NOISE[prediction or EPSILON]
    else:
        known = FITTING.get(prediction or EPSILON, schedulers)
    return tuple(name for name in known if name in schedulers)
