"""A pasted infotext: taken over as far as possible, and the rest named."""

from dataclasses import replace
from typing import Any, Final

import pytest

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import (
    AdapterUse,
    AxisAsk,
    Draft,
    Named,
    Options,
    compare_again,
    compose,
    compose_with_notes,
    redraft,
    varied,
)
from catalog import AdapterEntry, Catalog, ModelEntry
from tests.request.dialects.catalog import CATALOG, HASHES, SEED, codes, composed, said

TEXT = (
    "a fox, (snow:1.2) <lora:ink:0.5>\n"
    "Negative prompt: blurry, dogs\n"
    "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, "
    "Size: 832x1216, Model hash: aaaaaaaaaa, Model: base_v1, Version: v1.10.1"
)


def with_settings(**settings: str) -> str:
    """Short settings after a prompt; underscores stand for blanks."""
    said = {"Steps": "20", "Seed": "42", "CFG scale": "7"}
    said |= {name.replace("_", " "): value for name, value in settings.items()}
    return "a fox\n" + ", ".join(f"{name}: {value}" for name, value in said.items())


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", " "), f"\n{TEXT}\n"])
def test_everything_is_taken_over_and_said(text: str) -> None:
    made = composed(text)
    request = made.request
    assert (request.prompt, request.negative) == ("a fox, (snow:1.2)", "blurry, dogs")
    assert request.adapters == (AdapterUse("ink", 0.5),)
    assert (request.steps, request.scheduler, request.guidance) == (20, "Euler a", 7.0)
    assert (request.seed, request.width, request.height) == (42, 832, 1216)
    assert request.model == "base"
    assert said(made.notes) == {
        "infotext.taken": {
            "names": "Model, Negative prompt, LoRAs, Size, Sampler, Steps, CFG scale, Seed"
        }
    }


def test_options_count_for_more() -> None:
    made = composed(
        TEXT, model="other", negative="cats", steps=30, seed=1, size="1:1", scheduler="ddim"
    )
    request = made.request
    assert (request.model, request.negative, request.steps) == ("other", "cats", 30)
    assert (request.seed, request.width, request.scheduler) == (1, 1024, "DDIM")
    assert request.guidance == 7.0
    assert said(made.notes) == {
        "infotext.taken": {"names": "LoRAs, CFG scale"},
        "infotext.outweighed": {"names": "Model, Negative prompt, Size, Sampler, Steps, Seed"},
    }


def test_without_a_negative_prompt_there_is_none() -> None:
    assert composed(with_settings()).request.negative == ""


def test_the_seed_may_be_any() -> None:
    assert composed(with_settings(Seed="-1")).request.seed == SEED


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"Steps": "9999"}, "Steps"),
        ({"CFG_scale": "99"}, "CFG scale"),
        ({"Seed": "99999999999"}, "Seed"),
        ({"Clip_skip": "99"}, "Clip skip"),
        ({"Size": "1x99999"}, "Size"),
        ({"Sampler": "LMS"}, "Sampler"),
        ({"Hires_upscale": "1.7"}, "Hires upscale"),
        ({"Face_restoration": "CodeFormer"}, "Face restoration"),
        ({"VAE": "x.pt", "ENSD": "31337"}, "VAE, ENSD"),
        ({"Denoising_strength": "0.5"}, "Denoising strength"),
    ],
)
def test_what_is_not_possible_is_left_out_and_named(settings: dict[str, str], left: str) -> None:
    made = composed(with_settings(**settings))
    assert said(made.notes)["infotext.left"] == {"names": left}
    assert made.request.prompt == "a fox"


@pytest.mark.parametrize(
    ("sampler", "schedule", "used", "asked"),
    [
        ("DPM++ 2M Karras", None, "DPM++ 2M Karras", None),
        ("DPM++ 2M", None, "DPM++ 2M", None),
        ("DPM++ 2M", "Automatic", "DPM++ 2M Karras", None),
        ("DPM++ 2M", "Karras", "DPM++ 2M Karras", None),
        ("Euler", "SGM Uniform", "Euler trailing", None),
        ("dpmpp_2m_sde_gpu", "karras", "DPM++ 2M SDE Karras", None),
        ("DPM++ SDE", None, "DPM++ SDE Karras", "DPM++ SDE"),
        ("Euler a", "Karras", "Euler a", "Euler a Karras"),
        ("DPM++ 2M", "Exponential", "DPM++ 2M", "DPM++ 2M Exponential"),
        ("DPM++ 2M", "SGM Uniform", "DPM++ 2M", "DPM++ 2M SGM Uniform"),
        ("DPM++ 2M", "Simple", "DPM++ 2M", "DPM++ 2M Simple"),
        ("DPM++ 2M SDE", "Beta", "DPM++ 2M SDE", "DPM++ 2M SDE Beta"),
        ("DPM++ 2M Karras", "Simple", "DPM++ 2M Karras", "DPM++ 2M Karras Simple"),
        ("DPM++ SDE", "Simple", "DPM++ SDE Karras", "DPM++ SDE Simple"),
        ("DPM++ 2M SDE Exponential", None, "DPM++ 2M SDE", "DPM++ 2M SDE Exponential"),
    ],
)
def test_samplers(sampler: str, schedule: str | None, used: str, asked: str | None) -> None:
    settings = {"Sampler": sampler} | ({"Schedule_type": schedule} if schedule else {})
    made = composed(with_settings(**settings))
    assert made.request.scheduler == used
    expected = {"value": asked, "scheduler": used} if asked else None
    assert said(made.notes).get("infotext.sampler") == expected


def test_the_second_pass_takes_as_many_steps_as_there() -> None:
    text = with_settings(Hires_upscale="1.5", Denoising_strength="0.4", Size="832x832")
    hires = composed(text).request.hires
    assert hires is not None
    assert (hires.scale, hires.strength, hires.taken) == (1.5, 0.4, 20)
    hires = composed(f"{text}, Hires steps: 7").request.hires
    assert hires is not None
    assert hires.taken == 7


def test_a_size_that_is_too_small_keeps_its_shape() -> None:
    made = composed(with_settings(Size="100x150"))
    size = f"{made.request.width}x{made.request.height}"
    assert size == f"{composed('a', size='2:3').request.width}x{made.request.height}"
    assert said(made.notes)["infotext.size"] == {"value": "100x150", "size": size}


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"Model": "other_v1"}, "other"),
        ({"Model": "Other Model"}, "other"),
        ({"Model": "renamed", "Model_hash": "bbbbbbbbbb"}, "other"),
        ({"Model_hash": "bbbbbbbbbb"}, "other"),
    ],
)
def test_the_model_by_any_name_or_its_hash(settings: dict[str, str], model: str) -> None:
    made = composed(with_settings(**settings))
    assert made.request.model == model
    assert codes(made.notes) == ["dialect.infotext.taken"]


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"Model": "juggernaut", "Model_hash": "0123456789"}, "juggernaut"),
        ({"Model_hash": "0123456789"}, "0123456789"),
    ],
)
def test_a_model_that_is_not_here_is_named(settings: dict[str, str], value: str) -> None:
    made = composed(with_settings(**settings))
    assert made.request.model == "base"
    assert said(made.notes)["infotext.model"] == {"value": value, "model": "base"}


def test_loras_that_are_not_here_are_named() -> None:
    text = with_settings().replace("a fox", "a fox <lora:ink:0.5> <lora:gone:1> <lora:anime:1>")
    made = composed(text, adapters_max=1)
    assert [use.key for use in made.request.adapters] == ["ink"]
    assert said(made.notes)["infotext.loras"] == {"names": "gone, anime"}


def test_no_more_loras_are_looked_for_than_could_be_meant() -> None:
    tags = "".join(f"<lora:gone-{number}:1>" for number in range(8))
    made = composed(with_settings().replace("a fox", f"a fox {tags}<lora:ink:1>"))
    assert made.request.adapters == ()
    assert said(made.notes)["infotext.loras"]["names"].endswith("gone-7, ink")


WORDED: Final = Catalog(
    dict(CATALOG.models),
    {
        key: AdapterEntry(key=key, name=key, path=f"org/{key}", trigger_words=(f"{key} word",))
        for key in ("ink", "oil")
    },
    "base",
)


@pytest.mark.parametrize(
    ("prompt", "lora", "words"),
    [
        (TEXT, None, ()),
        (TEXT.replace("a fox", "an ink word"), None, ()),
        (TEXT, "oil:1", ("oil word", "ink word")),
        ("a fox <lora:ink:0.5>", None, ("ink word",)),
        ("a fox <lora:ink:0.5> Negative prompt: dogs", None, ("ink word",)),
    ],
)
def test_no_trigger_words_are_added_to_generation_data(
    prompt: str, lora: str | None, words: tuple[str, ...]
) -> None:
    draft = Draft(prompt=prompt, lora=lora)
    assert compose_with_notes(draft, WORDED, nsfw=False).request.trigger_words == words


def test_those_of_a_presets_lora_are_added() -> None:
    saved = [Named("mine", Options(lora="oil:1"))]
    draft = Draft(prompt=TEXT, preset="mine")
    request = compose_with_notes(draft, WORDED, nsfw=False, saved=saved).request
    assert "oil word" in request.trigger_words


def test_nor_when_it_is_asked_for_again() -> None:
    request = compose_with_notes(Draft(prompt=TEXT), WORDED, nsfw=False).request
    again = redraft(request, WORDED, nsfw=False)
    assert compose(again, WORDED, nsfw=False) == request
    usual = compose(Draft(prompt="a fox", lora="ink"), WORDED, nsfw=False)
    assert not redraft(usual, WORDED, nsfw=False).complete
    for drawn, lora, words in (
        (TEXT.replace("a fox", "a {fox|cat}"), None, ()),
        ("a {fox|cat}", "ink", ("ink word",)),
    ):
        draft = Draft(prompt=drawn, lora=lora)
        first = compose_with_notes(draft, WORDED, nsfw=False).request
        assert first.template is not None
        assert varied(first, WORDED, nsfw=False, seed=9).trigger_words == words


@pytest.mark.parametrize(
    ("axis", "words"),
    [(AxisAsk("steps", "10, 20"), ()), (AxisAsk("lora", "oil, ink"), ("ink word",))],
)
def test_a_comparison_of_it_has_those_of_what_varies(axis: AxisAsk, words: tuple[str, ...]) -> None:
    request = compose_with_notes(Draft(prompt=TEXT), WORDED, nsfw=False).request
    compared = compare_again(request, [axis], WORDED, nsfw=False).request
    assert compared.comparison is not None
    found = [cell.trigger_words for cell in compared.comparison.cells]
    assert words in found
    assert all(found) == bool(words)


def test_two_weights_are_in_the_order_of_the_web_ui() -> None:
    made = composed(TEXT.replace("ink:0.5", "ink:0.4:1"))
    assert made.request.adapters == (AdapterUse("ink", 1.0, 0.4),)
    assert composed("a fox <lora:ink:0.4:1>").request.adapters == (AdapterUse("ink", 0.4, 1.0),)


def test_a_lora_by_its_hash() -> None:
    text = with_settings(Lora_hashes='"renamed: dddddddddddd"')
    made = composed(text.replace("a fox", "a fox <lora:renamed:0.5>"))
    assert made.request.adapters == (AdapterUse("ink", 0.5),)


def test_a_lora_that_was_chosen_is_not_asked_for_twice() -> None:
    made = composed(TEXT, lora="ink:0.9")
    assert made.request.adapters == (AdapterUse("ink", 0.9),)
    assert "LoRAs" in said(made.notes)["infotext.outweighed"]["names"]


@pytest.mark.parametrize(
    "options", [{"steps": 9999}, {"model": "gone"}, {"lora": "gone"}, {"size": "x"}]
)
def test_a_wrong_option_is_refused_as_ever(options: dict[str, Any]) -> None:
    with pytest.raises((InvalidRequest, Refused)):
        composed(TEXT, **options)


@pytest.mark.parametrize(
    ("lora", "steps"),
    [
        ({"path": "dmd2_sdxl_4step_lora_fp16.safetensors"}, 8),
        ({"path": "mine.safetensors", "name": "Hyper-SDXL-8steps-CFG"}, 8),
        ({"path": "latent-consistency/lcm-lora-sdxl"}, 8),
        ({"path": "mine.safetensors"}, 30),
        ({"path": "hyperRealism_v1.safetensors"}, 30),
    ],
)
def test_few_steps_are_taken_over_with_a_lora_for_few_steps(
    lora: dict[str, Any], steps: int
) -> None:
    entry = AdapterEntry(**{"key": "quick", "name": "Quick", **lora})
    catalog = Catalog(dict(CATALOG.models), {"quick": entry}, "base")
    text = "a fox <lora:quick:1>\nSteps: 8, Sampler: LCM, CFG scale: 1, Seed: 1, Size: 832x1216"
    made = compose_with_notes(Draft(prompt=text), catalog, nsfw=False)
    assert (made.request.steps, made.request.scheduler) == (steps, "LCM")
    assert made.request.guidance == 1.0
    assert ("Steps" in said(made.notes).get("infotext.left", {"names": ""})["names"]) == (
        steps == 30
    )


def test_only_a_negative_prompt() -> None:
    made = composed("a fox Negative prompt: dogs")
    assert (made.request.prompt, made.request.negative) == ("a fox", "dogs")
    assert said(made.notes) == {"infotext.taken": {"names": "Negative prompt"}}


def test_nothing_is_left_out_before_every_file_is_read() -> None:
    """What a file is called that is not read yet may still turn out to be what is meant."""
    from catalog.unread import Unread

    reading = replace(CATALOG, unread=(Unread("adapter", ("/x/gone.safetensors",)),), files=1)
    text = with_settings().replace("a fox", "a fox <lora:gone:1>")
    with pytest.raises(Refused, match=r"catalog\."):
        compose_with_notes(Draft(prompt=text), reading, nsfw=False, hashes=HASHES)


def test_a_hash_names_nothing_that_is_not_for_the_channel() -> None:
    models = {
        "base": CATALOG.models["base"],
        "adult": ModelEntry(key="adult", name="Adult", path="adult.safetensors", nsfw=True),
    }
    catalog = Catalog(models, {}, "base")
    hashes = {"adult": ("e" * 64,), "adult-lora": ("f" * 64,)}
    draft = Draft(prompt="a fox", model="eeeeeeee")
    assert compose_with_notes(draft, catalog, nsfw=True, hashes=hashes).request.model == "adult"
    for asked in (draft, replace(draft, model="ffffffff")):
        with pytest.raises(UserError) as caught:
            compose_with_notes(asked, catalog, nsfw=False, hashes=hashes)
        assert "adult" not in str(caught.value.params)


def test_a_variation_is_taken_over() -> None:
    made = composed(with_settings(Variation_seed="12", Variation_seed_strength="0.25"))
    assert (made.request.base_seed, made.request.mixed_in) == (42, "12:0.25")
    assert said(made.notes) == {
        "infotext.taken": {"names": "Steps, CFG scale, Seed, Variation seed"}
    }
    own = composed(with_settings(Variations='"12:0.25, 99:0.1"'))
    assert own.request.mixed_in == "12:0.25, 99:0.1"


def test_a_variation_that_was_chosen_counts_for_more() -> None:
    text = with_settings(Variation_seed="12", Variation_seed_strength="0.25")
    made = composed(text, variation="5:0.5")
    assert made.request.mixed_in == "5:0.5"
    assert said(made.notes)["infotext.outweighed"] == {"names": "Variation seed"}


def test_a_variation_that_cannot_be_is_named() -> None:
    made = composed(with_settings(Variation_seed="12", Variation_seed_strength="7"))
    assert made.request.variation is None
    assert said(made.notes)["infotext.left"] == {"names": "Variation seed"}
