"""A lighter request: what to ask for when the memory did not suffice."""

import math
from dataclasses import replace
from typing import Final

from bot.request.model import GenerationRequest

PIXELS: Final = 1024 * 1024
"""What SDXL is made for, and what every profile plans for."""
GRID: Final = 64


def lighter(request: GenerationRequest) -> GenerationRequest | None:
    """The same with the heaviest thing left out: a second pass, pixels over PIXELS, or the last
    of its LoRAs. None when there is nothing to leave out."""
    if request.hires is not None:
        return replace(request, hires=None, kernels=None)
    if request.width * request.height > PIXELS:
        shrink = math.sqrt(PIXELS / (request.width * request.height))
        width, height = (
            max(GRID, round(side * shrink / GRID) * GRID)
            for side in (request.width, request.height)
        )
        while width * height > PIXELS:
            width, height = (width - GRID, height) if width >= height else (width, height - GRID)
        return replace(request, width=width, height=height, kernels=None)
    if request.adapters:
        return replace(request, adapters=request.adapters[:-1], kernels=None)
    return None
