"""What of an image's settings this catalog can do, and what is named as impossible."""

from dataclasses import replace
from typing import Any

import pytest

from bot.chat.delivery.uploads import fit
from bot.errors import Refused
from bot.files.image_info import ImageInfo, NamedFile, NamedLora
from bot.files.image_info.matching import Hashes, Match, matches_of
from bot.files.image_info.settings import Usable, fields_of_draft, usable
from bot.files.image_info.telling import as_text
from bot.recipe import Weights
from bot.request import (
    PROMPT_MAX,
    AdapterUse,
    ControlUse,
    DetailUse,
    GenerationRequest,
    Hires,
    InitImage,
    Mix,
    Variation,
    compose,
)
from bot.request.changes import LINES, draft_of
from bot.request.parts import Box
from catalog import Catalog, DetectorEntry
from tests.files.image_info import samples, writers
from tests.files.image_info.test_reading import FILES, info
from tests.files.pngs import encode_png
from tests.files.recipes import RECIPE
from tests.request.composing import CATALOG

BASE, INK = "f" * 64, "0123456789ab"
HASHES: Hashes = {"base": (samples.SHA256, samples.SHA256[:10]), "ink": (BASE, INK)}
PLAIN = ImageInfo(program="ComfyUI", prompt="a fox", negative="blurry", seed=42, steps=25)


def taken(found: ImageInfo, hashes: Hashes = HASHES, catalog: Catalog = CATALOG) -> Usable:
    matches = matches_of(found, catalog, hashes, nsfw=False)
    return usable(found, matches, catalog, nsfw=False, adapters_max=4)


def request_of(found: Usable) -> GenerationRequest:
    return compose(draft_of(fields_of_draft(found.draft)), CATALOG, nsfw=False)


def notes(found: Usable) -> list[tuple[str, str, str, str]]:
    return [
        (each.name, each.value, each.why.code if each.why else "", each.instead)
        for each in found.unmapped
    ]


def test_everything_that_is_possible_comes_through_the_form() -> None:
    found = taken(info(FILES["a1111 png"][1]))
    request = request_of(found)
    assert (request.prompt, request.negative) == (samples.PROMPT, samples.NEGATIVE)
    assert (request.model, request.adapters) == ("base", (AdapterUse("ink", 0.8),))
    assert (request.seed, request.steps, request.guidance) == (1234567890, 25, 6.5)
    assert (request.width, request.height, request.clip_skip) == (832, 1216, 2)
    assert request.scheduler == "DPM++ 2M Karras"
    assert request.hires is not None
    assert (request.hires.scale, request.hires.strength, request.hires.taken) == (1.5, 0.4, 12)
    assert notes(found) == [("Hires upscaler", "Latent", "", "")]


def test_what_is_not_possible_is_named_with_its_value() -> None:
    strange = replace(
        PLAIN,
        steps=5_000,
        guidance=99.0,
        sampler="zzzz",
        size=(8192, 512),
        model=NamedFile("juggernaut", ("1234567890",)),
        loras=(NamedLora("unknown", (), 0.5), NamedLora("old-15", (), 1.0)),
        clip_skip=40,
        hires=3.0,
        hires_steps=7,
        strength=0.6,
        rest={"ControlNet 0": "canny", "Version": "v1.10.1"},
    )
    found = taken(strange)
    assert notes(found) == [
        ("model", "juggernaut (1234567890)", "", "base"),
        ("steps", "5000", "number.range", ""),
        ("guidance", "99", "number.range", ""),
        ("clip skip", "40", "number.range", ""),
        ("size", "8192x512", "size.side", ""),
        ("scheduler", "zzzz", "scheduler.unlike", ""),
        ("strength", "0.6", "", ""),
        ("hires", "3", "hires.scale", ""),
        ("hires steps", "7", "", ""),
        ("LoRA", "unknown:0.5", "", ""),
        ("LoRA", "old-15:1", "lora.other_base", ""),
        ("ControlNet 0", "canny", "", ""),
    ]
    assert request_of(found).seed == 42


def test_the_form_is_filled_in_the_words_of_every_other_form() -> None:
    found = taken(info(FILES["a1111 png"][1]))
    names = [line.partition(":")[0] for line in fields_of_draft(found.draft).more.splitlines()]
    assert {"guidance", "scheduler", "hires strength", "clip skip"} < {*names}
    assert {*names} <= {*LINES}


def test_a_size_that_the_model_cannot_do_becomes_its_own_of_that_shape() -> None:
    found = taken(replace(PLAIN, model=NamedFile("base"), size=(384, 512)))
    request = request_of(found)
    assert notes(found) == [("size", "384x512", "", f"{request.width}x{request.height}")]
    assert (request.width, request.height) == (896, 1152)


@pytest.mark.parametrize(
    ("sampler", "schedule", "ours", "noted"),
    [
        ("DPM++ 2M", "Karras", "DPM++ 2M Karras", False),
        ("DPM++ 2M", "Automatic", "DPM++ 2M Karras", False),
        ("dpmpp_2m", "karras", "DPM++ 2M Karras", False),
        ("dpmpp_2m", "normal", "DPM++ 2M", False),
        ("DPM++ 2M Karras", "karras", "DPM++ 2M Karras", False),
        ("DPM++ 2M Karras", "", "DPM++ 2M Karras", False),
        ("Euler a", "Automatic", "Euler a", False),
        ("k_euler_ancestral", "native", "Euler a", False),
        ("euler", "beta", "Euler", True),
    ],
)
def test_samplers(sampler: str, schedule: str, ours: str, noted: bool) -> None:
    found = taken(replace(PLAIN, sampler=sampler, schedule=schedule))
    assert request_of(found).scheduler == ours
    assert bool(found.unmapped) is noted


@pytest.mark.parametrize(
    ("file", "key", "other"),
    [
        (NamedFile("anything", (samples.SHA256,)), "base", False),
        (NamedFile("anything", (samples.SHA256[:10],)), "base", False),
        (NamedFile("base", ("0" * 10,)), "base", True),
        (NamedFile("SDXL base"), "base", False),
        (NamedFile("adult"), None, False),
        (NamedFile("pony-xl-v6"), None, False),
        (NamedFile("", ("0" * 10,)), None, False),
        (NamedFile("anything", ("31e35c8",)), None, False),
    ],
)
def test_models(file: NamedFile, key: str | None, other: bool) -> None:
    matches = matches_of(replace(PLAIN, model=file), CATALOG, HASHES, nsfw=False)
    assert matches.model == Match(file, key, other)


def test_a_lora_by_a_whole_hash_of_which_the_catalog_knows_the_beginning() -> None:
    lora = NamedLora("renamed", (INK + "0" * 52,), 0.5)
    matches = matches_of(replace(PLAIN, loras=(lora,)), CATALOG, HASHES, nsfw=False)
    assert matches.loras == (Match(lora, "ink"),)


def test_another_file_of_the_same_name_is_used_and_named() -> None:
    found = taken(replace(PLAIN, loras=(NamedLora("ink", ("9" * 12,), 0.8),)))
    assert request_of(found).adapters == (AdapterUse("ink", 0.8),)
    assert notes(found) == [("LoRA", "ink:0.8 (999999999999)", "", "ink")]


def test_more_loras_than_may_be_combined() -> None:
    loras = tuple(NamedLora(name, (), 1.0) for name in ("ink", "anime", "pixel", "grain", "glow"))
    found = taken(replace(PLAIN, loras=loras))
    assert [use.key for use in request_of(found).adapters] == ["ink", "anime", "pixel", "grain"]
    assert notes(found) == [("LoRA", "glow:1", "lora.many", "")]


def test_a_prompt_that_is_wrong_here_stays_to_be_put_right() -> None:
    found = taken(replace(PLAIN, prompt="a (fox:99)"))
    assert fields_of_draft(found.draft).prompt == "a (fox:99)"
    assert notes(found) == [("prompt", "a (fox:99)", "prompt.weight", "a (fox:99)")]


def test_a_prompt_that_is_too_long_is_cut_and_that_is_said() -> None:
    long = "fox " * PROMPT_MAX
    found = taken(replace(PLAIN, prompt=long, negative=long))
    fields = fields_of_draft(found.draft)
    assert len(fields.prompt) == len(fields.negative) == PROMPT_MAX
    assert [each.name for each in found.unmapped] == ["negative", "prompt"]
    assert found.unmapped[1].value == long


def test_without_any_model_it_is_refused() -> None:
    with pytest.raises(Refused):
        taken(PLAIN, catalog=Catalog({}, {}, ""))


def our_png(**fields: Any) -> tuple[bytes, GenerationRequest]:
    request = replace(
        RECIPE.request,
        model="base",
        prompt="a fox 🦊",
        adapters=(AdapterUse("ink", 0.8), AdapterUse("grain", 0.5, 0.25)),
        trigger_words=(),
        embeddings=(),
        width=1024,
        height=1024,
        count=1,
        **fields,
    )
    return encode_png(writers.PICTURE, replace(RECIPE, request=request), request.seed), request


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"steps": 31, "hires": Hires(1.5, 0.4, 31)},
        {"hires": Hires(2.0, 0.5, 24)},
        {"clip_skip": 3},
        {"tile": True},
        {"variation": Variation(7, 0.25)},
        {"variation": Variation(7, 0.25, (Mix(12, 0.1), Mix(99, 1.0)))},
    ],
)
def test_our_own_picture_is_asked_for_again_as_it_was(fields: dict[str, Any]) -> None:
    png, request = our_png(**fields)
    found = info(png)
    assert found.program == "imagen"
    again = request_of(taken(found))
    expected = replace(request, trigger_words=again.trigger_words, clip_skip=again.clip_skip)
    assert again == expected
    assert not taken(found, {}).unmapped


def test_the_networks_of_a_model_are_told_and_asked_for_by_it_alone() -> None:
    encoder = Weights("qwen_3_4b.safetensors", "e" * 64, "e" * 10)
    _, request = our_png()
    made = replace(RECIPE, request=request, text_encoder=encoder)
    png = encode_png(writers.PICTURE, made, request.seed)
    assert info(png).rest["Text encoder"] == "e" * 10
    shrunk = fit("demo-42.png", png, len(png) - 1)
    assert shrunk is not None
    assert info(shrunk.data).rest["Text encoder"] == "qwen_3_4b.safetensors"
    for data in (png, shrunk.data):
        assert not taken(info(data), {}).unmapped


@pytest.mark.parametrize("before", [(), (Mix(12, 0.1),)])
def test_a_variation_is_read_from_the_text_alone(before: tuple[Mix, ...]) -> None:
    png, request = our_png(variation=Variation(7, 0.25, before))
    shrunk = fit("demo-7-v42.png", png, len(png) - 1)
    assert shrunk is not None
    found = info(shrunk.data)
    assert (found.seed, found.variation) == (7, request.mixed_in)
    assert f"variation: {request.mixed_in}" in as_text(found)
    assert request_of(taken(found)).mixes == request.mixes


def test_which_part_of_an_image_was_kept_is_told() -> None:
    """It cannot be done again: neither the image nor the mask is in the file."""
    png, _ = our_png(init_image=InitImage("a" * 64, 1.0, "b" * 64, Box(256, 0, 768, 768)))
    shrunk = fit("demo-42.png", png, len(png) - 1)
    assert shrunk is not None
    kept = {"Mask mode": "Inpaint masked", "Extended": "768x768+256+0"}
    for data in (png, shrunk.data):  # with the recipe, and without it
        found = info(data)
        assert {name: found.rest.get(name) for name in kept} == kept
        assert "Extended: 768x768+256+0" in as_text(found)
        said = [(name, value) for name, value, *_ in notes(taken(found, {}))]
        assert said == [("strength", "1"), *kept.items()]


def test_which_controlnets_followed_an_image_is_told() -> None:
    """They cannot again: the image is not in the file."""
    use = ControlUse("canny", "a" * 64, "canny", 0.8, 0.0, 0.6)
    png, request = our_png(controls=(use,))
    weights = (Weights("canny", "e" * 64, "e" * 10),)
    png = encode_png(
        writers.PICTURE, replace(RECIPE, request=request, controls=weights), request.seed
    )
    found = info(png)
    assert found.rest["control"] == "canny/canny:0.8 until 60%"
    assert "control: canny/canny:0.8 until 60%" in as_text(found)
    said = [(name, value) for name, value, *_ in notes(taken(found, {}))]
    assert said == [("control", "canny/canny:0.8 until 60%")]


def test_a_variation_that_cannot_be_is_named() -> None:
    found = taken(replace(PLAIN, variation="12:7"))
    assert notes(found) == [("variation", "12:7", "variation.strength", "")]


def test_our_own_picture_that_was_shrunk() -> None:
    png, request = our_png()
    shrunk = fit("demo-42.png", png, len(png) - 1)
    assert shrunk is not None
    assert shrunk.name == "demo-42.webp"
    found = info(shrunk.data)
    assert (found.program, found.prompt, found.seed) == ("imagen", request.prompt, request.seed)
    assert [str(lora) for lora in found.loras] == ["ink:0.8", "grain:0.5:0.25"]


def test_what_was_painted_again_is_asked_for_again() -> None:
    asked = (DetailUse("face", 0.5), DetailUse("hand", 0.3))
    png, _ = our_png(detail=asked)
    shrunk = fit("demo-42.png", png, len(png) - 1)
    assert shrunk is not None
    theirs = (
        "a fox\nSteps: 25, Sampler: Euler, CFG scale: 6.5, Seed: 42, Size: 832x1216, "
        "ADetailer model: face_yolov8n.pt, ADetailer denoising strength: 0.5, "
        "ADetailer model 2nd: hand_yolov8s.pt, ADetailer denoising strength 2nd: 0.3"
    )
    known = replace(CATALOG, detector=DetectorEntry(path="org/finds"))
    for data in (png, shrunk.data, writers.png({"parameters": theirs})):
        found = info(data)
        assert found.detail == "face:0.5, hand:0.3"
        assert not [name for name in found.rest if "detail" in name.casefold()]
        assert "detail: face:0.5, hand:0.3" in as_text(found)
        able = taken(found, {}, known)
        assert "detail" not in [each.name for each in able.unmapped]
        draft = draft_of(fields_of_draft(able.draft))
        assert compose(draft, known, nsfw=False).detail == asked
        # Without the network that finds them, it is named with the reason.
        assert ("detail", found.detail, "detail.no_detector", "") in notes(taken(found, {}))


def test_what_adetailer_found_that_is_not_known_is_told_in_its_words() -> None:
    text = (
        "a fox\nSteps: 25, Sampler: Euler, CFG scale: 6.5, Seed: 42, Size: 832x1216, "
        "ADetailer model: deepfashion2_yolov8s-seg.pt, ADetailer denoising strength: 0.4"
    )
    found = info(writers.png({"parameters": text}))
    assert found.detail == ""
    assert found.rest == {
        "ADetailer model": "deepfashion2_yolov8s-seg.pt",
        "ADetailer denoising strength": "0.4",
    }
