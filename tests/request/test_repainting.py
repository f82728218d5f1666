"""An image of a result that is extended, or painted anew in part: what stays, and what does not."""

from dataclasses import replace

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import (
    CRISP,
    Axis,
    AxisAsk,
    Box,
    Comparison,
    Draft,
    GenerationRequest,
    Hires,
    InitImage,
    Picture,
    Upscale,
    compare_again,
    compose,
)
from bot.request.repainting import can_be_repainted, extended, repainted
from catalog import Catalog
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from tests.request.composing import CATALOG, composed, model

IMAGE = Picture("b" * 64, 1024, 1024)
MASK = Picture("c" * 64, 1024, 1024)


def to_the_left(request: GenerationRequest, n: int = 0, way: str = "left") -> GenerationRequest:
    return compose(extended(request, n, IMAGE, way, CATALOG, nsfw=False), CATALOG, nsfw=False)


def test_all_but_seed_and_size_stays() -> None:
    asked = composed("a {fox|cat|owl|elk|hen}", lora="ink:0.5", steps=20, count=3, seed=5)
    assert asked.alone(0).prompt != asked.alone(2).prompt
    made = to_the_left(asked, 2)
    assert made.init_image == InitImage("b" * 64, 1.0, box=Box(512, 0, 1024, 1024))
    assert (made.width, made.height, made.count) == (1536, 1024, 1)
    own = asked.alone(2)
    assert made.seed != own.seed
    same = replace(made, seed=own.seed, width=1024, height=1024, init_image=None)
    assert same == replace(own, template=None)


def test_what_was_scaled_once_is_not_scaled_again() -> None:
    """A draft of FLUX.2 has half the pixels, and so has its image."""
    flux = Catalog({"flux": model("flux", family=FLUX2)}, {}, "flux")
    asked = compose(Draft(prompt="a fox", preset="draft"), flux, nsfw=False)
    assert asked.width < 1024
    image = Picture("b" * 64, asked.width, asked.height)
    for draft in (
        extended(asked, 0, image, "zoom 2", flux, nsfw=False),
        repainted(asked, 0, image, image, flux, nsfw=False, prompt="an owl", strength=1.0),
    ):
        made = compose(draft, flux, nsfw=False)
        assert (made.width, made.height) == (asked.width, asked.height)
        assert made.preset == "draft"


def test_what_made_the_image_itself_is_not_done_to_it_again() -> None:
    """Neither a second pass, nor variations, nor the image that it began with."""
    asked = composed(hires=1.5, variation="12:0.2", image=Picture("a" * 64, 9, 9), strength=0.3)
    made = to_the_left(asked)
    assert (made.hires, made.variation) == (None, None)
    assert made.init_image is not None
    assert (made.init_image.sha256, made.init_image.strength) == ("b" * 64, 1.0)
    again = to_the_left(made, way="up")
    assert again.init_image is not None
    assert again.init_image.box == Box(0, 512, 1024, 1024)


def test_a_part_has_another_prompt_and_the_images_own_size() -> None:
    asked = composed("a {fox|cat}", lora="ink:0.5", seed=5)
    draft = repainted(asked, 0, IMAGE, MASK, CATALOG, nsfw=False, prompt="an owl", strength=0.8)
    made = compose(draft, CATALOG, nsfw=False)
    assert made.init_image == InitImage("b" * 64, 0.8, "c" * 64)
    assert (made.width, made.height, made.prompt) == (1024, 1024, "an owl")
    assert made.adapters == asked.adapters


def test_a_comparison_around_it_and_its_variations_keep_what_it_kept() -> None:
    asked = to_the_left(composed(seed=5))
    sheet = compare_again(asked, [AxisAsk("guidance", "5, 6")], CATALOG, nsfw=False).request
    assert sheet.comparison is not None
    for each in (*sheet.comparison.cells, asked.variations(9, 0.2, 2), asked.with_seed(3)):
        assert each.init_image == asked.init_image


def test_it_stays_within_a_places_limit() -> None:
    asked = composed()
    for way in ("left", "zoom 2", "16:9"):
        draft = extended(asked, 0, IMAGE, way, CATALOG, nsfw=False, pixels_max=800_000)
        made = compose(draft, CATALOG, nsfw=False)
        assert 700_000 < made.width * made.height <= 800_000
    draft = repainted(
        asked,
        0,
        IMAGE,
        MASK,
        CATALOG,
        nsfw=False,
        prompt="an owl",
        strength=1.0,
        pixels_max=800_000,
    )
    assert compose(draft, CATALOG, nsfw=False).width == 888


def test_no_sheet_has_it_in_several_sizes() -> None:
    """Where it lies is said in pixels of one."""
    asked = to_the_left(composed())
    for values in ("", "1024x1024, 1536x1024"):
        with pytest.raises(InvalidRequest) as refused:
            compare_again(asked, [AxisAsk("size", values)], CATALOG, nsfw=False)
        assert refused.value.code == "compare.extended"


def test_a_model_that_is_gone_is_named() -> None:
    for gone in (replace(composed(), model="gone"), composed(nsfw=True, model="adult")):
        with pytest.raises((InvalidRequest, Refused)):
            to_the_left(gone)


def test_what_can_be_repainted() -> None:
    asked = composed()
    assert can_be_repainted(asked, CATALOG)
    assert can_be_repainted(to_the_left(asked), CATALOG)
    assert can_be_repainted(replace(asked, hires=Hires(1.5, 0.4, 12)), CATALOG)
    assert not can_be_repainted(replace(asked, model="gone"), CATALOG)
    assert not can_be_repainted(asked, Catalog({}, {}, ""))
    assert not can_be_repainted(
        replace(asked, upscale=Upscale("a" * 64, "sharp", 2.0, CRISP)), CATALOG
    )
    plain = model("plain", family=replace(SDXL, name="Plain", takes_image=False))
    assert not can_be_repainted(
        replace(asked, model="plain"), Catalog({"plain": plain}, {}, "plain")
    )
    cells = (asked, replace(asked, steps=20))
    sheet = Comparison((Axis("steps", ("10", "20")),), cells)
    assert not can_be_repainted(replace(asked, comparison=sheet), CATALOG)
