"""A draft that says what an earlier request says, to ask for it with something changed."""

from contextlib import suppress
from dataclasses import replace

from bot.errors import UserError
from bot.request.controlling import types_followed
from bot.request.draft import Draft
from bot.request.drawing import is_complete, typed_again
from bot.request.masked_area import MASKED, PADDING
from bot.request.model import GenerationRequest
from bot.request.parts import AdapterUse, InitImage
from bot.request.pictures import HIRES_STRENGTH, Picture
from bot.request.presets import find_preset
from bot.request.syntax import AdapterAsk
from catalog import Catalog


def redraft(
    request: GenerationRequest,
    catalog: Catalog,
    *,
    nsfw: bool,
    n: int = 0,
    usual_left_out: bool = False,
    drawn: bool = True,
    hires: float | None = None,
) -> Draft:
    """The options with which `compose` gives the image `n` of `request` again.

    usual_left_out: without what is the usual value of its model or preset, so that each model gets
    its own when the model is changed. drawn: whether the prompts are those that were drawn for the
    image, not what they were drawn from. hires: the scale of a second pass to have instead.
    """
    own_texts = replace(request.alone(n), template=None) if drawn else request
    prompt, negative = typed_again(own_texts)
    own = _PresetOf(request, catalog, nsfw=nsfw)
    left_out = usual_left_out and own.known
    before, init, reference = request.hires, request.init_image, request.reference
    size, area = (request.width, request.height), init.area if init else None
    return Draft(
        prompt=prompt,
        model=request.model,
        negative=None if left_out and request.negative == own.negative else negative,
        steps=None if left_out and request.steps == own.steps else request.steps,
        guidance=None if left_out and request.guidance == own.guidance else request.guidance,
        seed=request.alone(n).base_seed,
        variation=request.alone(n).mixed_in or None,
        tile=request.tile or None,
        size=None if left_out and not init and size == own.size else f"{size[0]}x{size[1]}",
        scheduler=None if left_out and request.scheduler == own.scheduler else request.scheduler,
        preset=request.preset,
        hires=hires or (before.scale if before else None),
        hires_strength=before.strength if before and before.strength != HIRES_STRENGTH else None,
        hires_steps=before.taken if before and before.steps != request.steps else None,
        clip_skip=None if left_out and request.clip_skip == own.clip_skip else request.clip_skip,
        image=Picture(init.sha256, *_size_of(init, size)) if init else None,
        strength=init.strength if init else None,
        mask=Picture(init.mask, *_size_of(init, size)) if init and init.mask else None,
        extend=str(init.box) if init and init.box else None,
        inpaint_area=MASKED if area else None,
        inpaint_padding=area.padding if area and area.padding != PADDING[1] else None,
        reference=Picture(reference.sha256, *size) if reference else None,
        reference_weight=reference.weight if reference else None,
        control=", ".join(map(str, request.controls)) or None,
        other_types=types_followed(request),
        control_images=tuple(
            Picture(use.sha256, *size, measured=False) for use in request.controls
        ),
        detail=", ".join(map(str, request.detail)) or None,
        pictures=tuple(Picture(sha256, *size, measured=False) for sha256 in request.pictures),
        adapters=tuple(
            AdapterAsk(use.key, use.weight, use.text_weight)
            for use in request.adapters
            if use != own.adapter
        ),
        complete=is_complete(request.alone(n), catalog),
    )


def _size_of(init: InitImage, size: tuple[int, int]) -> tuple[int, int]:
    """The shape of the image to start from, as far as a request knows it."""
    part = init.box or init.area
    return (part.width, part.height) if part else size


class _PresetOf:
    """What the model of a request, or its preset, fills in. known: whether both are offered.

    adapter: the LoRA that the preset adds by itself.
    """

    def __init__(self, request: GenerationRequest, catalog: Catalog, *, nsfw: bool) -> None:
        self.known = False
        self.adapter: AdapterUse | None = None
        model = catalog.models.get(request.model)
        if model is None:
            return
        with suppress(UserError):
            preset = find_preset(request.preset, model, catalog, nsfw=nsfw)
            self.known = True
            self.adapter = preset.adapter[1] if preset.adapter else None
            self.steps, self.guidance = preset.steps.default, preset.guidance.default
            self.scheduler, self.size = preset.scheduler, model.size
            self.negative, self.clip_skip = model.default_negative, model.clip_skip
