"""The details of a result: within Discord's limits, and whole."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.details import (
    COMMAND_MAX,
    attachments_of,
    command_of,
    command_text,
    details_embed,
    recipe_json,
    today_sentence,
)
from bot.recipe import Weights
from bot.request import (
    AdapterUse,
    Area,
    Axis,
    Box,
    Comparison,
    ControlUse,
    GenerationRequest,
    InitImage,
    Mix,
    Reference,
    Template,
    Upscale,
    Variation,
)
from bot.today import Today
from catalog import ControlNetEntry, ControlNets
from tests.chat.ui.test_messages import KEYS, LONG, REQUESTS, check_limits, fields, job
from tests.language import TEXTS
from tests.parameters import examples
from tests.store.factories import recipe, record, request

SAY = TEXTS.speaker()
NAMES = st.lists(KEYS, max_size=40).map(tuple)


@settings(max_examples=examples(40))
@given(asked=REQUESTS, names=NAMES, typed=LONG.map(lambda text: text[:2000]))
def test_they_keep_to_the_limits(
    asked: GenerationRequest, names: tuple[str, ...], typed: str
) -> None:
    asked = replace(asked, template=Template(typed, None, 1))
    made = replace(
        recipe(asked),
        adapters=tuple(Weights(name, "c" * 64, "c" * 12) for name in names),
        environment=dict.fromkeys(names, "v" * 60),
    )
    images = [record(n) for n in range(asked.count)]
    shown = details_embed(SAY, job(asked, recipe=made), images, Today(names, names, names, names))
    check_limits(shown)
    command = command_of(asked)
    assert command is None or len(command) <= COMMAND_MAX


def test_a_variation_is_named_and_stands_in_the_command() -> None:
    asked = request(seed=12, count=2, variation=Variation(7, 0.2, (Mix(3, 0.4),)))
    images = [record(n, seed=12 + n) for n in range(2)]
    shown = fields(details_embed(SAY, job(asked, recipe=recipe(asked)), images, Today()))
    assert shown["Seed"] == "`7`"
    assert shown["Variation"] == "`3:0.4, 12:0.2` `3:0.4, 13:0.2`"
    assert " seed:7 variation:3:0.4, 12:0.2 size:" in (command_of(asked) or "")
    assert "variation:" not in (command_of(request()) or "")


def test_a_part_that_is_painted_alone_stands_in_the_command_as_flags() -> None:
    init = InitImage("a" * 64, 1.0, "b" * 64, area=Area(8, 900, 700))
    asked = request(prompt="a fox", init_image=init)
    command = command_of(asked) or ""
    assert command.startswith("/imagine prompt:a fox --inpaint_area masked --inpaint_padding 8 m")
    shown = fields(details_embed(SAY, job(asked, recipe=recipe(asked)), [record()], Today()))
    assert "a part repainted at full size" in shown["Settings"]
    assert "900×700" in shown["Settings"]


def test_a_comparison_of_variations_names_each_seed_and_what_is_mixed_in_once() -> None:
    cells = tuple(request(seed=12, variation=Variation(seed, 0.2)) for seed in (7, 8, 9))
    asked = replace(cells[0], comparison=Comparison((Axis("seed", ("7", "8", "9")),), cells))
    images = [record(n, seed=12) for n in range(4)]
    shown = fields(details_embed(SAY, job(asked, recipe=recipe(asked)), images, Today()))
    assert (shown["Seed"], shown["Variation"]) == ("`7` `8` `9`", "`12:0.2`")


def test_every_value_is_named_and_what_it_came_from() -> None:
    asked = request(template=Template("a {red|blue} fox", None, 1), negative="rain")
    made = recipe(asked)
    shown = fields(details_embed(SAY, job(asked, recipe=made), [record()], Today()))
    assert shown["Drawn from"] == r"a {red\|blue} fox"
    assert shown["Settings"] == (
        "demo · ink:0.6 · 64×48 · 10 steps · guidance 7.5 · Euler · trigger words: ink wash"
    )
    assert shown["Files and hashes"] == f"demo `{'a' * 10}`\nink `{'c' * 12}`"
    assert shown["Generated with"] == "torch 2.13.0"
    assert shown["Would it be the same today?"] == "Yes: the same files and the same versions."
    said = fields(details_embed(SAY, job(asked, recipe=made), [], Today(("a",), ("b",), ("c",))))
    assert said["Would it be the same today?"] == (
        "No: a can't be found any more. It may differ. Changed since then: b."
        " I can't tell yet: c changed on disk and hasn't been used since."
    )


def test_the_networks_in_place_of_the_models_own_are_named() -> None:
    asked = request()
    vae = Weights("ae.safetensors", "v" * 64, "v" * 10)
    encoder = Weights("qwen_3_4b.safetensors", "e" * 64, "e" * 10)
    made = replace(recipe(asked), vae=vae, text_encoder=encoder)
    shown = fields(details_embed(SAY, job(asked, recipe=made), [record()], Today()))
    lines = shown["Files and hashes"].splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == [f"`{'v' * 10}`", f"`{'e' * 10}`"]


def test_what_is_stored_otherwise_now_is_said_in_words() -> None:
    made = Today(stored=("transformer (bfloat16, int8 → bfloat16)", "text_encoder (a → b)"))
    for language, said in (
        ("en-US", "It may differ: weights are kept in another number format now"),
        ("de", "Es kann abweichen, denn Gewichte liegen jetzt in einem anderen Zahlenformat vor"),
        ("fr", "Elle peut différer, car des poids sont désormais gardés dans un autre format"),
    ):
        sentence = today_sentence(TEXTS.speaker(language), made)
        assert sentence.startswith(said)
        assert "transformer (bfloat16, int8 → bfloat16)" in sentence
        assert "text\\_encoder (a → b)" in sentence


def test_the_command_gives_the_same_again() -> None:
    asked = request(prompt="a fox\nin the snow", negative="", count=2)
    assert command_of(asked) == (
        "/imagine prompt:a fox in the snow model:demo lora:ink:0.6 steps:10 guidance:7.5 seed:42"
        " size:64x48 count:2 scheduler:Euler"
    )
    assert attachments_of(asked) == ()
    enlarged = Upscale("a" * 64, "general", 2.0, "crisp")
    assert command_of(replace(asked, upscale=enlarged)) is None
    compared = Comparison((Axis("steps", ("10", "20")),), (asked, replace(asked, steps=20)))
    assert command_of(replace(asked, comparison=compared)) is None
    long = tuple(AdapterUse("k" * 40, n / 10) for n in range(60))
    assert command_of(replace(asked, adapters=long)) is None


def test_the_command_of_a_part_says_where_it_lies_and_what_is_to_be_attached() -> None:
    init = InitImage("a" * 64, 0.5, "b" * 64, Box(8, 0, 48, 48))
    asked = request(negative="", init_image=init, reference=Reference("c" * 64, 0.7))
    assert (command_of(asked) or "").endswith(
        " size:64x48 scheduler:Euler strength:0.5 extend:48x48+8+0 reference_weight:0.7"
    )
    assert attachments_of(asked) == ("`image`", "`mask`", "`reference`")
    start = replace(asked, init_image=InitImage("a" * 64, 0.5), reference=None)
    assert attachments_of(start) == ("`image`",)
    assert " strength:0.5" in (command_of(start) or "")
    assert "extend" not in (command_of(start) or "")
    assert command_of(replace(start, pictures=("d" * 64,))) is None


def test_the_file_has_everything() -> None:
    made = recipe(request())
    data = json.loads(recipe_json(job(request(), recipe=made), [record()]))
    assert data["recipe"] == json.loads(json.dumps(made.to_dict()))
    assert data["images"][0]["seed"] == 42


def test_the_command_has_the_flag_for_which_there_is_no_option() -> None:
    command = command_of(request(prompt="a fox", tile=True)) or ""
    assert command.startswith("/imagine prompt:a fox --tile model:")


def test_the_command_names_controlnets_and_the_image_that_they_follow() -> None:
    edges = ControlUse("canny", "a" * 64, "canny", 0.8, 0.0, 0.6)
    depth = ControlUse("union", "a" * 64, "depth", is_map=True)
    asked = request(controls=(edges, depth))
    command = command_of(asked) or ""
    assert command.endswith(" control:canny/canny:0.8 until 60%, union/depth:1 as map")
    assert attachments_of(asked) == ("`control_image`",)
    start = replace(asked, init_image=InitImage("a" * 64, 0.5))
    assert attachments_of(start) == ("`image`",), "they follow it without being told"
    other = replace(asked, init_image=InitImage("b" * 64, 0.5))
    assert attachments_of(other) == ("`image`", "`control_image`")
    # /imagine takes one image to follow.
    apart = replace(asked, controls=(edges, replace(depth, sha256="b" * 64)))
    assert command_of(apart) is None


def test_there_is_no_command_for_what_nobody_may_type() -> None:
    """AUTOMATIC1111's modules make any map for any ControlNet."""
    known = ControlNets({key: controlnet(key) for key in ("canny", "mine", "union-promax")})
    edges = ControlUse("canny", "a" * 64, "canny")
    for use in (edges, ControlUse("mine", "a" * 64, "pose"), replace(edges, key="union-promax")):
        text = command_text(SAY, request(controls=(use,)), known) or ""
        assert text.startswith(f"```\n{command_of(request(controls=(use,)))}\n```Attach the images")
    asked = request(controls=(replace(edges, type="openpose"), replace(edges, key="gone")))
    for locale, said in (
        ("en", "There's no command to copy: what canny follows can't be asked for in one."),
        ("de", "Einen Befehl zum Kopieren gibt es nicht"),
        ("fr", "Il n’y a pas de commande à copier"),
    ):
        text = command_text(TEXTS.speaker(locale), asked, known) or ""
        assert text.startswith(said)
        assert "/imagine" not in text
    assert command_text(SAY, replace(asked, pictures=("d" * 64,)), known) is None


def controlnet(key: str) -> ControlNetEntry:
    return ControlNetEntry(key=key, name=key, path=f"org/{key}")


def test_the_files_of_controlnets_are_named() -> None:
    asked = request(controls=(ControlUse("deep", "a" * 64, "depth"),))
    network = Weights("diffusion.safetensors", "d" * 64, "d" * 10)
    estimator = Weights("estimator.safetensors", "e" * 64, "e" * 10)
    made = replace(recipe(asked), controls=(network,), depth=estimator)
    shown = fields(details_embed(SAY, job(asked, recipe=made), [record()], Today()))
    assert f"diffusion.safetensors `{'d' * 10}`" in shown["Files and hashes"].splitlines()
    assert f"estimator.safetensors `{'e' * 10}`" in shown["Files and hashes"].splitlines()
