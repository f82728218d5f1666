"""What is asked for to paint on around an image of a result, or to paint a part of it anew."""

from dataclasses import replace
from math import inf

from bot.request.draft import Draft
from bot.request.extending import parse_extent
from bot.request.masked_area import WHOLE
from bot.request.model import GenerationRequest
from bot.request.offers import find_model
from bot.request.pictures import Picture, size_extended, size_like, size_within
from bot.request.redraft import redraft
from catalog import Catalog


def can_be_repainted(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether an image of it can be extended, or painted anew in part, by its own model."""
    model = catalog.models.get(request.model)
    single = request.comparison is None and request.upscale is None
    return single and model is not None and "image" not in model.lacks


def extended(
    request: GenerationRequest,
    n: int,
    image: Picture,
    way: str,
    catalog: Catalog,
    *,
    nsfw: bool,
    pixels_max: float = inf,
) -> Draft:
    """Image `n` of `request` extended, with a seed of its own and all else as it was.

    way: as in `bot.request.extending`. pixels_max: the result has no more, if the model can.
    Raises InvalidRequest or Refused if the model is not offered any more, or the image cannot be
    extended in that way.
    """
    model = find_model(catalog, request.model, nsfw=nsfw)
    size = size_extended(parse_extent(way, image.width, image.height), image, model, pixels_max)
    draft = _from_image(request, n, image, size, catalog, nsfw=nsfw)
    # What a ControlNet followed was for the image as it was.
    return replace(draft, extend=way, control=None, control_images=())


def repainted(
    request: GenerationRequest,
    n: int,
    image: Picture,
    mask: Picture,
    catalog: Catalog,
    *,
    nsfw: bool,
    prompt: str,
    strength: float,
    area: str = WHOLE,
    pixels_max: float = inf,
) -> Draft:
    """Image `n` of `request` with what is white in `mask` painted anew, and a seed of its own.

    area: see `Draft.inpaint_area`; what is painted alone is so at the model's own size. pixels_max:
    as for `extended`. Raises InvalidRequest or Refused if the model is not offered any more.
    """
    model = find_model(catalog, request.model, nsfw=nsfw)
    sides = (image.width, image.height) if area == WHOLE else size_like(image, model)
    size = size_within(*sides, model, pixels_max)
    draft = _from_image(request, n, image, size, catalog, nsfw=nsfw)
    return replace(draft, mask=mask, prompt=prompt, strength=strength, inpaint_area=area)


def _from_image(
    request: GenerationRequest,
    n: int,
    image: Picture,
    size: tuple[int, int],
    catalog: Catalog,
    *,
    nsfw: bool,
) -> Draft:
    """The size is said, because a preset would scale it once more."""
    return replace(
        redraft(request, catalog, nsfw=nsfw, n=n),
        image=image,
        size=f"{size[0]}x{size[1]}",
        seed=None,
        variation=None,
        strength=None,
        mask=None,
        extend=None,
        inpaint_area=None,
        inpaint_padding=None,
        hires=None,
        hires_strength=None,
        hires_steps=None,
        detail=None,
    )
