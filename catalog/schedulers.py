"""Names of schedulers and timesteps as users know them; the engine implements them."""

from collections.abc import Mapping
from typing import Final

from catalog.predictions import EDM, EDM_VELOCITY, FLOW

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

AYS: Final = "AYS"
"""Timesteps as in "Align Your Steps" (arXiv 2404.14507), instead of the scheduler's own."""


def fitting(prediction: str | None, schedulers: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `schedulers` that can sample from a model of that prediction, the default first."""
    if prediction is None or prediction not in FITTING:
        return schedulers
    return tuple(name for name in FITTING[prediction] if name in schedulers)
