"""What we wrote ourselves: the recipe, where the file still has it."""

from dataclasses import replace
from itertools import zip_longest

from bot.files.image_info.infotext import OURS
from bot.files.image_info.model import ImageInfo, NamedFile, NamedLora
from bot.files.metadata import kept_part, read_png
from bot.files.sheets.metadata import read_sheet
from bot.recipe import Weights


def from_ours(png: bytes) -> ImageInfo | None:
    """None if its recipe cannot be read: there may still be an infotext."""
    try:
        read = read_png(png)
    except ValueError:
        return None
    if read.recipe is None:
        return None
    recipe = read.recipe
    request = recipe.request if read.seed is None else recipe.request.of_seed(read.seed)
    loras = []
    for use, weights in zip_longest(request.adapters, recipe.adapters[: len(request.adapters)]):
        loras.append(NamedLora(use.key, _hashes(weights), use.weight, use.text_weight))
    start, reference, hires = request.init_image, request.reference, request.hires
    rest = {
        **kept_part(request),
        "control": ", ".join(map(str, request.controls)),
        "Preset": request.preset or "",
        "Reference weight": f"{reference.weight:g}" if reference else "",
        "VAE": recipe.vae.short if recipe.vae else "",
        "Text encoder": recipe.text_encoder.short if recipe.text_encoder else "",
        "Trigger words": ", ".join(request.trigger_words),
    }
    return ImageInfo(
        program=OURS,
        prompt=request.prompt,
        negative=request.negative,
        seed=None if read.seed is None else request.base_seed,
        variation=request.mixed_in,
        steps=request.steps,
        guidance=request.guidance,
        sampler=request.scheduler,
        size=(request.width, request.height),
        model=NamedFile(request.model, _hashes(recipe.checkpoint)),
        loras=tuple(loras),
        clip_skip=request.clip_skip,
        hires=hires.scale if hires else None,
        hires_steps=hires.taken if hires and hires.steps != request.steps else None,
        hires_strength=hires.strength if hires else None,
        strength=start.strength if start else None,
        detail=", ".join(map(str, request.detail)),
        tile=request.tile or None,
        rest={name: value for name, value in rest.items() if value},
    )


def with_axes(first: ImageInfo, png: bytes) -> ImageInfo:
    """`first`, which a sheet says of its first image, with what varies on it."""
    try:
        sheet = read_sheet(png)
    except ValueError:
        return first
    if sheet is None or sheet.request.comparison is None:
        return first
    axes = {
        f"Compared {axis.name}" + f" ({axis.subject})" * bool(axis.subject): ", ".join(axis.values)
        for axis in sheet.request.comparison.axes
    }
    return replace(first, rest={**first.rest, **axes})


def _hashes(weights: Weights | None) -> tuple[str, ...]:
    """None: the image was made without any."""
    return () if weights is None else tuple(dict.fromkeys((weights.sha256, weights.short)))
