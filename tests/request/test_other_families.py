"""A model of another family: what its requests may contain, and the limits."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import Draft, GenerationRequest, Picture, compose, lighter
from catalog import AdapterEntry, Catalog, FloatRange, IntRange, ModelEntry
from catalog.families import Variant
from catalog.families.sdxl import SDXL
from tests.language import TEXTS

OTHER = replace(
    SDXL,
    key="other",
    name="Other",
    size=(512, 512),
    pixel_step=16,
    bucket_step=32,
    schedulers=("Euler", "DDIM"),
    takes_emphasis=False,
    clip_skip=None,
    variants=(
        Variant(
            name="distilled",
            steps=IntRange(min=1, default=4, max=8),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
        ),
    ),
    takes_image=False,
    takes_reference=False,
    adapts_text=False,
    hires_max_pixels=600 * 600,
)


@pytest.fixture
def catalog() -> Catalog:
    """One model of OTHER, and one LoRA."""
    entry = ModelEntry(key="m", name="M", path="a/b", family=OTHER, min_side=256)
    return Catalog({"m": entry}, {"ink": AdapterEntry(key="ink", name="Ink", path="a/b")}, "m")


def composed(catalog: Catalog, **fields: Any) -> GenerationRequest:
    return compose(Draft(**{"prompt": "a fox", **fields}), catalog, nsfw=False)


PICTURE = Picture("0" * 64, 64, 64)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"negative": "fog"}, "negative"),
        ({"image": PICTURE}, "image"),
        ({"reference": PICTURE}, "reference"),
        ({"clip_skip": 3}, "clip_skip"),
        ({"guidance": 4.0}, "guidance"),
        ({"lora": "ink:0.8:0.5"}, "lora"),
    ],
)
def test_what_has_no_meaning_for_the_family_is_refused(
    catalog: Catalog, fields: dict[str, Any], name: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        composed(catalog, **fields)
    code = "text_weight" if name == "lora" else name
    assert (refusal.value.field, refusal.value.code) == (name, f"family.{code}")
    assert refusal.value.params["family"] == "Other"


@pytest.mark.parametrize("language", ["en-US", "de", "fr"])
def test_every_option_that_a_family_may_lack_has_a_sentence(language: str) -> None:
    """It names the model and its family as they are called, whatever they begin with."""
    say = TEXTS.speaker(language)
    nothing = replace(OTHER, name="Ångström 2 klein")
    entry = ModelEntry(key="m", name="M", path="a/b", family=nothing)
    for name in (*entry.lacks, "edits", "text_weight"):
        said = say(f"family.{name}", field=name, model="lines", family=nothing.name, name="x")
        assert "lines (Ångström 2 klein)" in said, name
    assert entry.lacks == ("negative", "guidance", "image", "reference", "clip_skip")


def test_who_wants_a_reference_where_images_can_be_edited_is_told_so(catalog: Catalog) -> None:
    editing = replace(OTHER, pictures_max=2)
    entry = ModelEntry(key="m", name="M", path="a/b", family=editing, min_side=256)
    with pytest.raises(InvalidRequest, match=r"family\.edits"):
        composed(Catalog({"m": entry}, {}, "m"), reference=PICTURE)


def test_the_rest_is_the_familys_own(catalog: Catalog) -> None:
    request = composed(catalog, prompt="a (fox:99)", lora="ink:0.8", size="16:9", scheduler="ddim")
    assert (request.width, request.height) == (672, 384)
    assert (request.scheduler, request.clip_skip) == ("DDIM", None)
    assert (request.steps, request.guidance) == (4, 1.0)


def test_its_bounds_are_said(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        composed(catalog, size="520x512")
    assert refusal.value.params["step"] == 16
    with pytest.raises(InvalidRequest) as refusal:
        composed(catalog, scheduler="qqqq")
    assert refusal.value.params["known"] == ("Euler", "DDIM")
    with pytest.raises(InvalidRequest, match=r"hires\.size"):
        composed(catalog, hires=1.5)
    with pytest.raises(Refused, match=r"preset\.nowhere"):
        composed(catalog, preset="draft")


def test_a_lighter_one_has_its_own_size(catalog: Catalog) -> None:
    less = lighter(composed(catalog, size="800x512"), OTHER)
    assert less is not None
    assert (less.width, less.height) == (608, 416)
