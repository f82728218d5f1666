"""What matters about a request, in one line: what it was made with, where that was chosen."""

from collections.abc import Collection, Sequence

from bot.chat.ui.markdown import escaped, one_line
from bot.request import ControlUse, GenerationRequest, InitImage
from bot.request.extending import SIDES, shares_of
from bot.request.parts import Box
from bot.request.pictures import STRENGTH_OF_PART
from bot.texts.language import Say
from catalog import ModelEntry

SEPARATOR = " · "
ALIKE = 0.05
"""By how much of itself an image may be extended further on one side than on another, and still
counts as zoomed out: where it lies is rounded to whole pixels."""


def facts_line(
    say: Say,
    request: GenerationRequest,
    model: ModelEntry | None,
    seeds: Sequence[int],
    name: str | None = None,
    varies: Collection[str] = (),
) -> str:
    """`SDXL base · anime-style 0.6 · 832×1216 · 40 steps · seed 123`, as Markdown.

    Values that are the model's defaults are left out, but never model, LoRAs and seeds; without
    `model`, which may have left the catalog, all are named. name: of what made it, if that is not
    the model. varies: the axes of a comparison, whose values stand elsewhere.
    """
    called = name or (model.name if model else request.made_with)
    parts = [] if "model" in varies else [f"**{one_line(called, 80)}**"]
    if not {"lora", "weight"} & {*varies}:
        parts += [
            one_line(" ".join([use.key, *str(use).split(":")[1:]]), 80) for use in request.adapters
        ]
    parts += chosen_values(say, request, model, varies) if request.model else []
    if request.upscale:
        (width, height), scale = request.final_size, f"{request.upscale.scale:g}"
        parts.append(say("facts.hires", width=width, height=height, scale=scale))
        parts.append(say(f"upscale.modes.{request.upscale.mode}"))
    # Code, which phones and desktops alike copy with one tap.
    if request.model and "seed" not in varies:
        copied = [f"`{seed}`" for seed in typed_seeds(request, seeds)]
        code = "facts.seeds" if len(copied) > 1 else "facts.seed"
        parts.append(say(code, seeds=" ".join(copied)))
    if mixes := [f"`{mixes}`" for mixes in variations(request, seeds)]:
        parts.append(say("facts.variation", mixes=" ".join(mixes)))
    return SEPARATOR.join(parts)


def typed_seeds(request: GenerationRequest, seeds: Sequence[int]) -> Sequence[int]:
    """What people type to get the images with these seeds: of variations, those that they vary,
    each once."""
    if request.variation is None:
        return seeds
    return list(dict.fromkeys(each.base_seed for each in request.each))


def variations(request: GenerationRequest, seeds: Sequence[int]) -> list[str]:
    """What these images mix into the noise of those, each text once; none if nothing is."""
    if request.variation is None:
        return []
    return list(dict.fromkeys(request.of_seed(seed).mixed_in for seed in seeds))


def chosen_values(
    say: Say,
    request: GenerationRequest,
    model: ModelEntry | None = None,
    varies: Collection[str] = (),
) -> list[str]:
    """The values that differ from the defaults of `model`; all of them without it."""

    def differs(name: str, value: object, default: object) -> bool:
        return name not in varies and (model is None or value != default)

    chosen = []
    if request.preset:
        chosen.append(request.preset)
    size = request.width, request.height
    if request.hires:
        scale, (width, height) = f"{request.hires.scale:g}", request.final_size
        chosen.append(say("facts.hires", width=width, height=height, scale=scale))
    elif not request.upscale and differs("size", size, model and model.size):
        width, height = request.final_size
        chosen.append(f"{width}×{height}")
    if differs("steps", request.steps, model and model.steps.default):
        chosen.append(say("facts.steps", count=request.steps))
    if differs("guidance", request.guidance, model and model.guidance.default):
        chosen.append(say("facts.guidance", guidance=request.guidance))
    if differs("scheduler", request.scheduler, model and model.scheduler):
        chosen.append(escaped(request.scheduler))
    if request.clip_skip is not None and (model is None or request.clip_skip != model.clip_skip):
        chosen.append(say("facts.clip_skip", layer=request.clip_skip))
    if request.tile:
        chosen.append(say("facts.tile"))
    if init := request.init_image:
        chosen += kept_of_image(say, init, (request.width, request.height))
    if request.reference:
        chosen.append(say("facts.reference", weight=f"{request.reference.weight:g}"))
    chosen += [followed(say, use) for use in request.controls]
    if request.detail:
        words = one_line(", ".join(map(str, request.detail)), 80)
        chosen.append(say("facts.detail", words=words))
    if request.pictures:
        chosen.append(say("facts.pictures", count=len(request.pictures)))
    return chosen


def followed(say: Say, use: ControlUse) -> str:
    """What of an image a ControlNet follows, how closely, and for which of the steps."""
    text = one_line(f"{use.key} {use.weight:g}", 80)
    if (use.start, use.end) != (0.0, 1.0):
        start, end = (f"{share * 100:g}" for share in (use.start, use.end))
        text = say("facts.control_steps", use=text, start=start, end=end)
    if use.is_map:
        text = say("facts.control_map", use=text)
    return say(f"facts.control.{use.type}", use=text)


def kept_of_image(say: Say, init: InitImage, size: tuple[int, int]) -> list[str]:
    """What was made of the image to start from, in a result of `size`; how strongly it was changed
    where that is not as usual."""
    chosen = []
    if init.mask is not None:
        chosen.append(say("facts.part_only" if init.area else "facts.part"))
    if init.box is not None:
        chosen.append(_extended(say, init.box, size))
    if not init.keeps or init.strength != STRENGTH_OF_PART:
        chosen.append(say("facts.image", strength=f"{init.strength:g}"))
    return chosen


def _extended(say: Say, box: Box, size: tuple[int, int]) -> str:
    """How far the image in `box` was extended: on all sides alike, or on some."""
    shares = shares_of(box, size)
    if len(shares) == len(SIDES) and max(shares.values()) - min(shares.values()) < ALIKE:
        return say("facts.zoomed", factor=f"{round(size[0] / box.width, 2):g}")
    sides = tuple(
        say(f"facts.sides.{side}", percent=round(100 * share)) for side, share in shares.items()
    )
    return say("facts.extended", sides=sides)
