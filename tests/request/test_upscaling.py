"""Requests to enlarge an image."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import (
    CRISP,
    REPAINT,
    SEED_MAX,
    AdapterUse,
    DetailUse,
    GenerationRequest,
    Hires,
    InitImage,
    Picture,
    Reference,
    Upscale,
    UpscaleDraft,
    check_offered,
    compose_upscale,
    is_gated,
    lighter,
    scales_for,
    upscale_of,
)
from catalog import AdapterEntry, Catalog, ModelEntry, UpscalerEntry, Upscalers
from catalog.families.sdxl import SDXL

SHA = "a" * 64
IMAGE = Picture(SHA, 300, 200)


def upscaler(key: str, **fields: Any) -> UpscalerEntry:
    return UpscalerEntry(key=key, name=f"The {key}", path=f"org/{key}", **fields)


UPSCALERS = Upscalers(
    {
        entry.key: entry
        for entry in (
            upscaler("off", enabled=False),
            upscaler("sharp", weight_name="Sharp_x4.safetensors"),
            upscaler("secret", nsfw=True),
            upscaler("broken"),
            upscaler("drawn"),
        )
    },
    unfit={"broken": "it is a LoRA, not an upscaler"},
)
CATALOG = Catalog(
    {"base": ModelEntry(key="base", name="Base", path="org/base", default_negative="blurry")},
    {"style": AdapterEntry(key="style", name="Style", path="org/s", trigger_words=("styled",))},
    "base",
    upscalers=UPSCALERS,
)


def composed(*, nsfw: bool = False, image: Picture = IMAGE, **fields: Any) -> GenerationRequest:
    draft = UpscaleDraft(image=image, **fields)
    return compose_upscale(draft, CATALOG, nsfw=nsfw, draw=lambda: 7).request


def refusal(**fields: Any) -> tuple[str, str, dict[str, Any]]:
    with pytest.raises(InvalidRequest) as refused:
        composed(**fields)
    return refused.value.field, refused.value.code, refused.value.params


def test_without_options_it_is_crisp_and_doubled_by_the_first_upscaler() -> None:
    request = composed()
    assert request.upscale == Upscale(SHA, "sharp", 2.0, CRISP)
    assert (request.model, request.prompt, request.count) == ("", "", 1)
    assert (request.width, request.height) == (300, 200)
    assert request.final_size == (600, 400)
    assert request.inputs == (SHA,)
    assert (request.made_with, request.names) == ("sharp", ("sharp",))


@pytest.mark.parametrize("name", ["drawn", "DRAWN", "The drawn", " drawn "])
def test_an_upscaler_goes_by_key_and_name(name: str) -> None:
    request = composed(upscaler=name)
    assert request.upscale
    assert request.upscale.upscaler == "drawn"


def test_an_upscaler_goes_by_its_file() -> None:
    request = composed(upscaler="Sharp_x4.safetensors")
    assert request.upscale
    assert request.upscale.upscaler == "sharp"


def test_another_upscaler_is_refused_with_those_that_are_meant() -> None:
    assert refusal(upscaler="shapr") == (
        "upscaler",
        "upscaler.unknown",
        {"field": "upscaler", "value": "shapr", "nearest": ("sharp",)},
    )
    field, code, params = refusal(upscaler="zzzz")
    assert (field, code) == ("upscaler", "upscaler.unlike")
    assert params["offered"] == ("sharp", "drawn")


def test_an_upscaler_that_may_not_be_used_here_is_not_named() -> None:
    with pytest.raises(InvalidRequest) as unknown:
        composed(upscaler="secret")
    assert "secret" not in str(unknown.value.params.get("offered", ""))
    request = composed(upscaler="secret", nsfw=True)
    assert is_gated(request, CATALOG)
    assert not is_gated(composed(), CATALOG)
    with pytest.raises(InvalidRequest):
        check_offered(request, CATALOG, nsfw=False)
    check_offered(request, CATALOG, nsfw=True)


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        ("off", "upscaler.disabled", {"name": "off"}),
        (
            "broken",
            "upscaler.unusable",
            {"name": "broken", "reason": "it is a LoRA, not an upscaler"},
        ),
    ],
)
def test_an_upscaler_that_is_not_offered_is_refused(
    key: str, code: str, said: dict[str, str]
) -> None:
    with pytest.raises(Refused) as refused:
        composed(upscaler=key)
    assert (refused.value.code, refused.value.params) == (code, said)


def test_where_there_is_no_upscaler_that_is_said() -> None:
    bare = replace(CATALOG, upscalers=Upscalers())
    for name in (None, "sharp"):
        with pytest.raises(Refused) as refused:
            compose_upscale(UpscaleDraft(image=IMAGE, upscaler=name), bare, nsfw=False)
        assert refused.value.code == "upscaler.none"


def test_values_out_of_range_are_refused_by_name() -> None:
    assert refusal(scale=2.5)[:2] == ("scale", "upscale.scale")
    assert refusal(scale=float("nan"))[:2] == ("scale", "upscale.scale")
    assert refusal(mode="soft") == (
        "mode",
        "upscale.mode",
        {"field": "mode", "value": "soft", "modes": (CRISP, REPAINT)},
    )
    assert refusal(mode=REPAINT, prompt="x", strength=1.5)[:2] == ("strength", "number.range")


def test_sixteen_megapixels_are_the_most() -> None:
    largest = Picture(SHA, 2000, 2000)
    assert composed(image=largest).final_size == (4000, 4000)
    field, code, params = refusal(image=Picture(SHA, 2001, 2000))
    assert (field, code) == ("scale", "upscale.size")
    assert (params["width"], params["height"], params["megapixels"]) == (4002, 4000, 16)
    assert scales_for(2000, 2000) == (1.5, 2.0)
    assert scales_for(4000, 4000) == ()
    assert scales_for(128, 128) == (1.5, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "a fox"),
        ("model", "base"),
        ("strength", 0.4),
        ("lora", "style"),
        ("steps", 20),
        ("seed", 3),
        ("negative", "no"),
    ],
)
def test_what_only_repainting_uses_is_not_dropped_silently(field: str, value: object) -> None:
    assert refusal(**{field: value})[:2] == (field, "upscale.crisp")


def test_repainting_is_composed_as_any_request() -> None:
    request = composed(mode=" Repaint ", prompt="a fox", lora="style:0.5", steps=12)
    assert request.upscale == Upscale(SHA, "sharp", 2.0, REPAINT, 0.3)
    assert (request.model, request.negative, request.seed) == ("base", "blurry", 7)
    assert request.adapters == (AdapterUse("style", 0.5),)
    assert request.trigger_words == ("styled",)
    assert (request.width, request.height, request.steps) == (300, 200, 12)
    assert request.names == ("base", "style", "sharp")
    assert refusal(mode=REPAINT)[:2] == ("prompt", "upscale.prompt")
    assert refusal(mode=REPAINT, prompt=" ")[:2] == ("prompt", "upscale.prompt")


def test_what_repainting_understands_in_another_way_is_told() -> None:
    draft = UpscaleDraft(image=IMAGE, mode=REPAINT, prompt="a fox --chaos 10")
    found = compose_upscale(draft, CATALOG, nsfw=False)
    assert found.request.prompt == "a fox"
    assert [note.code for note in found.notes] == ["dialect.flag.nothing"]
    assert compose_upscale(UpscaleDraft(image=IMAGE), CATALOG, nsfw=False).notes == ()


SOURCE = GenerationRequest(
    prompt="a fox",
    negative="blurry",
    model="base",
    adapters=(AdapterUse("style", 0.5),),
    trigger_words=("styled",),
    steps=30,
    guidance=7.5,
    seed=SEED_MAX,
    width=150,
    height=100,
    count=4,
    scheduler="Euler",
    hires=Hires(2.0, 0.4, 30),
    init_image=InitImage("b" * 64, 0.5),
    reference=Reference("c" * 64, 0.5),
    kernels="compiled",
    tile=True,
    detail=(DetailUse("face"),),
)


def test_an_image_of_a_result_is_repainted_with_what_made_it() -> None:
    request = upscale_of(SOURCE, 1, IMAGE, CATALOG, nsfw=False, mode=REPAINT, strength=0.2)
    assert request == replace(
        SOURCE,
        seed=0,  # wraps around after SEED_MAX
        count=1,
        width=300,
        height=200,
        hires=None,
        init_image=None,
        reference=None,
        kernels=None,
        tile=False,
        detail=(),
        upscale=Upscale(SHA, "sharp", 2.0, REPAINT, 0.2),
    )
    assert request.inputs == (SHA,)


def test_an_image_of_a_result_is_enlarged_without_its_model() -> None:
    request = upscale_of(SOURCE, 0, IMAGE, CATALOG, nsfw=False, scale=4.0, upscaler="drawn")
    assert request.upscale == Upscale(SHA, "drawn", 4.0, CRISP)
    assert (request.model, request.adapters) == ("", ())
    assert (request.prompt, request.seed) == ("a fox", SEED_MAX)


def test_what_was_enlarged_without_a_model_cannot_be_repainted() -> None:
    enlarged = upscale_of(SOURCE, 0, IMAGE, CATALOG, nsfw=False)
    with pytest.raises(InvalidRequest) as refused:
        upscale_of(enlarged, 0, IMAGE, CATALOG, nsfw=False, mode=REPAINT)
    assert (refused.value.field, refused.value.code) == ("mode", "upscale.no_model")
    again = upscale_of(enlarged, 0, Picture(SHA, 600, 400), CATALOG, nsfw=False)
    assert again.final_size == (1200, 800)


def test_a_request_without_it_is_stored_as_ever_and_one_with_it_comes_back() -> None:
    assert "upscale" not in SOURCE.to_dict()
    for request in (composed(), composed(mode=REPAINT, prompt="a fox")):
        assert GenerationRequest.from_dict(request.to_dict()) == request


def test_there_is_nothing_to_make_lighter() -> None:
    assert lighter(composed(mode=REPAINT, prompt="a fox", lora="style"), SDXL) is None
