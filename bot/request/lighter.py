"""A lighter request, to suggest when one ran out of memory."""

import math
from dataclasses import replace

from bot.request.model import GenerationRequest
from bot.request.parts import InitImage
from catalog.families import Family


def lighter(request: GenerationRequest, family: Family) -> GenerationRequest | None:
    """The same without its heaviest part: the second pass, what is painted again, pixels beyond the
    family's own size, the last of several images to edit, of its ControlNets, or of its LoRAs. None
    if there is nothing to drop.

    family: of the request's model.
    """
    if request.comparison is not None:
        return None  # the cells that were too heavy say so themselves
    if request.upscale is not None or request.describe is not None:
        return None  # its size is that of the image
    pixels, grid = math.prod(family.size), family.bucket_step
    if request.hires is not None:
        return replace(request, hires=None, kernels=None, environment=None)
    if request.detail:
        return replace(request, detail=(), kernels=None, environment=None)
    if request.width * request.height > pixels:
        shrink = math.sqrt(pixels / (request.width * request.height))
        width, height = (
            max(grid, round(side * shrink / grid) * grid)
            for side in (request.width, request.height)
        )
        while width * height > pixels:
            width, height = (width - grid, height) if width >= height else (width, height - grid)
        init = _placed(request.init_image, width / request.width, height / request.height)
        less = replace(request, width=width, height=height, init_image=init)
        return replace(less, kernels=None, environment=None)
    if len(request.pictures) > 1:
        # The model looks at each of them at every step; LoRAs are part of its weights by then.
        return replace(request, pictures=request.pictures[:-1], kernels=None, environment=None)
    if request.controls:
        return replace(request, controls=request.controls[:-1], kernels=None, environment=None)
    if request.adapters:
        return replace(request, adapters=request.adapters[:-1], kernels=None, environment=None)
    return None


def _placed(init: InitImage | None, across: float, down: float) -> InitImage | None:
    """The image to start from, where it lies in a result that is scaled by these factors."""
    if init is None or init.box is None:
        return init
    return replace(init, box=init.box.scaled(across, down))
