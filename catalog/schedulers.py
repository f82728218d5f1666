"""Names of schedulers and timesteps as users know them; the engine implements them."""

from typing import Final

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

AYS: Final = "AYS"
"""Timesteps as in "Align Your Steps" (arXiv 2404.14507), instead of the scheduler's own."""
