"""Presets that people save and styles: how they are put under what is typed."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import (
    PROMPT_MAX,
    AxisAsk,
    Draft,
    GenerationRequest,
    Named,
    Options,
    compare,
    compose,
    compose_with_notes,
)
from bot.request.dynamic import parse
from bot.request.dynamic.grammar import Choice
from bot.request.filling import fill, has_place
from bot.request.options import is_gated_set
from catalog import (
    EVERYTHING,
    AdapterEntry,
    Allowance,
    Catalog,
    EmbeddingEntry,
    Embeddings,
    FastPreset,
    ModelEntry,
    StyleEntry,
    Styles,
    WildcardFile,
    Wildcards,
)

FAST = FastPreset(steps=5, guidance=2.0, scheduler="DPM++ SDE Karras")


def model(key: str, **fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


def adapter(key: str, **fields: Any) -> AdapterEntry:
    return AdapterEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


def style(key: str, **fields: Any) -> StyleEntry:
    return StyleEntry(**{"key": key, "name": key.title(), **fields})


STYLES = (
    style("noir", prompt="film noir still of {prompt}, haze", negative="{prompt}, colour"),
    style("misty", prompt="in mist", negative="sun", steps=20, lora="ink:0.5"),
    style("velvet", prompt="{prompt}", nsfw=True),
    style("silk", model="adult"),
)
MODELS = {
    "base": model("base", default_negative="low quality", fast=FAST),
    "second": model("second"),
    "adult": model("adult", nsfw=True),
    "off": model("off", enabled=False),
}
ADAPTERS = {
    "ink": adapter("ink"),
    "oil": adapter("oil"),
    "nude": adapter("nude", nsfw=True),
    "kept": adapter("kept", models=("second",)),
    **{key: adapter(key) for key in ("wax", "tar", "mud")},
}
EMBEDDINGS = {"skin": EmbeddingEntry(key="skin", name="Skin", path="org/skin", nsfw=True)}
WILDCARDS = Wildcards({"nsfw/pose": WildcardFile(("a",)), "colour": WildcardFile(("red",))})
CATALOG = Catalog(
    MODELS,
    ADAPTERS,
    "base",
    styles=Styles(STYLES),
    embeddings=Embeddings(EMBEDDINGS),
    wildcards=WILDCARDS,
)
OWN = (
    Named("Moody", Options(model="second", guidance=4.0, size="512x768", prompt="gloom")),
    Named("Quick", Options(preset="fast")),
    Named("tags", Options(prompt="{prompt} <lora:oil:0.4>", lora="ink:0.3")),
    Named("gone", Options(model="lost-model")),
    Named("gone lora", Options(lora="lost-lora:0.5")),
    Named("secret", Options(lora="nude")),
)


def composed(preset: str, prompt: str = "a fox", nsfw: bool = False, **given: Any) -> Any:
    draft = Draft(prompt=prompt, preset=preset, seed=1, **given)
    return compose(draft, CATALOG, nsfw=nsfw, saved=OWN)


def refused(preset: str, **given: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(UserError) as error:
        composed(preset, **given)
    return error.value.code, error.value.params


def test_the_prompt_goes_where_a_style_says() -> None:
    request = composed("noir")
    assert request.prompt == "film noir still of a fox, haze"
    # The model's own negative prompt goes in, or the one that is typed.
    assert request.negative == "low quality, colour"
    assert composed("noir", negative="hands").negative == "hands, colour"
    assert composed("noir", negative="").negative == "colour"
    assert request.preset is None


def test_without_a_place_the_words_follow_and_a_typed_negative_counts() -> None:
    request = composed("misty")
    assert request.prompt == "a fox, in mist"
    assert (request.negative, request.steps) == ("sun", 20)
    assert [(use.key, use.weight) for use in request.adapters] == [("ink", 0.5)]
    typed = composed("misty", negative="hands", steps=12, lora="oil")
    assert (typed.negative, typed.steps) == ("hands", 12)
    assert [use.key for use in typed.adapters] == ["oil"]


def test_a_saved_preset_is_found_whatever_the_case() -> None:
    for name in ("Moody", "MOODY", " moódy "):
        request = composed(name)
        assert (request.model, request.guidance, request.prompt) == ("second", 4.0, "a fox, gloom")
        assert (request.width, request.height) == (512, 768)
    assert composed("moody", model="base", guidance=9).guidance == 9


def test_several_presets_one_within_the_other() -> None:
    request = composed("moody, noir, fast", model="base", guidance=1.5)
    assert request.prompt == "film noir still of a fox, gloom, haze"
    assert (request.preset, request.steps, request.width) == ("fast", 5, 512)
    # For each option, the first that sets it counts.
    both = Named("slow", Options(steps=40))
    draft = Draft(prompt="a fox", preset="slow, misty")
    assert compose(draft, CATALOG, nsfw=False, saved=[both]).steps == 40
    assert composed("quick, fast").preset == "fast"
    assert refused("draft, fast")[0] == "presets.two"
    assert refused("a, b, c, d, e, f") == (
        "presets.many",
        {"field": "preset", "value": 6, "max": 5},
    )


def test_a_name_with_a_comma_is_one_name() -> None:
    styles = Styles([style("Rain, at night", prompt="rain")])
    catalog = Catalog(MODELS, ADAPTERS, "base", styles=styles)
    draft = Draft(prompt="a fox", preset="rain, at night")
    assert compose(draft, catalog, nsfw=False).prompt == "a fox, rain"


def test_ones_own_comes_before_a_style_of_that_name() -> None:
    own = Named("NOIR", Options(prompt="{prompt} my way"))
    draft = Draft(prompt="a fox", preset="noir")
    assert compose(draft, CATALOG, nsfw=False, saved=[own]).prompt == "a fox my way"


def test_what_the_prompt_asks_for_counts_for_more_than_a_preset() -> None:
    wide = composed("moody", prompt="a fox --ar 3:2 --no snow")
    assert wide.prompt == "a fox, gloom"
    assert wide.width > wide.height
    assert wide.negative == "snow"
    tagged = composed("misty", prompt="a fox <lora:ink:0.9>")
    assert [(use.key, use.weight) for use in tagged.adapters] == [("ink", 0.9)]


def test_tags_flags_and_forms_in_the_words_of_a_preset() -> None:
    request = composed("tags")
    assert {use.key: use.weight for use in request.adapters} == {"oil": 0.4, "ink": 0.3}
    own = Named("wide", Options(prompt="{prompt}, wide <hypernet:x> --ar 2:1 --no fog --s 250"))
    draft = Draft(prompt="a fox", preset="wide")
    done = compose_with_notes(draft, CATALOG, nsfw=False, saved=[own])
    assert done.request.prompt == "a fox, wide"
    assert (done.request.width, done.request.height) == (1472, 704)
    assert done.request.negative == "fog"
    codes = [note.code for note in done.notes]
    assert codes == ["dialect.flag.nothing", "dialect.form.left_out_for"]


def test_dynamic_prompts_in_the_words_and_in_what_is_typed() -> None:
    own = Named("either", Options(prompt="{an oil painting of {prompt}|{prompt} in {ink|chalk}}"))
    draft = Draft(prompt="a {red|blue} fox | den", preset="either", count=4, seed=3)
    request = compose(draft, CATALOG, nsfw=False, saved=[own])
    texts = {each.prompt for each in request.prompts}
    assert len(texts) > 1
    for text in texts:
        assert text.startswith(("an oil painting of a ", "a red fox", "a blue fox"))
        assert text.count("fox | den") == 1
    assert request.template is not None


@pytest.mark.parametrize("name", ["nor", "mody", "fst"])
def test_a_name_that_is_none_is_named_with_those_nearest(name: str) -> None:
    code, params = refused(name)
    assert code == "presets.unknown"
    nearest = {"nor": "noir", "mody": "Moody", "fst": "fast"}[name]
    assert nearest in params["nearest"]


def test_a_name_that_is_near_none_is_refused_with_what_may_be_used() -> None:
    code, params = refused("xyzzyxyzzy")
    assert code == "presets.unlike"
    assert {"draft", "fast", "Moody", "noir"} <= {*params["offered"]}


def test_what_is_for_age_restricted_channels_has_no_name_elsewhere() -> None:
    for name in ("velvet", "silk", "secret"):
        assert refused(name) == ("presets.gated", {"preset": name})
        _, params = refused(f"{name[:-1]}x")
        assert name not in str(params)
    assert composed("silk", nsfw=True).model == "adult"
    assert composed("secret", nsfw=True).adapters[0].key == "nude"


@pytest.mark.parametrize(
    ("options", "gated"),
    [
        (Options(model="adult"), True),
        (Options(lora="oil, nude:0.5"), True),
        (Options(lora="oil, :"), False),
        (Options(prompt="{prompt} <lora:nude:1>"), True),
        (Options(prompt="a (embedding:skin:1.2)"), True),
        (Options(negative="{embedding:skin|x}, y"), True),
        (Options(prompt="{prompt} {x|__nsfw/pose__}"), True),
        (Options(prompt="{prompt} __colour__ __nothing__"), False),
        (Options(prompt="{prompt} {open __nsfw/pose__"), False),
        (Options(model="base", lora="ink", prompt="skin"), False),
    ],
)
def test_which_presets_are_gated(options: Options, gated: bool) -> None:
    assert is_gated_set(options, CATALOG) is gated


def test_what_a_place_does_not_allow_is_not_named() -> None:
    narrow = CATALOG.narrowed(Allowance(allow=(frozenset({"base"}),)), EVERYTHING)
    for name in ("moody", "silk"):
        for nsfw in (False, True):
            draft = Draft(prompt="a fox", preset=name)
            with pytest.raises(Refused) as error:
                compose(draft, narrow, nsfw=nsfw, saved=OWN)
            assert (error.value.code, error.value.params) == ("presets.withheld", {"preset": name})
    fine = Draft(prompt="a fox", preset="misty")
    assert compose(fine, narrow, nsfw=False).adapters[0].key == "ink"


def test_a_persons_defaults_count_less_than_a_preset() -> None:
    def usual(draft: Draft) -> Draft:
        return replace(draft, steps=draft.steps or 12, negative=draft.negative or "usual")

    for preset, steps, negative in (
        ("misty", 20, "sun"),
        ("noir", 12, "usual, colour"),
        ("moody", 12, "usual"),
    ):
        draft = Draft(prompt="a fox", preset=preset)
        request = compose(draft, CATALOG, nsfw=False, saved=OWN, fill=usual)
        assert (request.steps, request.negative) == (steps, negative)


def test_what_is_gone_is_named_with_its_preset() -> None:
    assert refused("gone") == ("presets.model", {"preset": "gone", "name": "lost-model"})
    assert composed("gone", model="base").model == "base"
    assert refused("gone lora") == ("presets.lora", {"preset": "gone lora", "name": "lost-lora"})
    assert composed("gone lora", lora="ink").adapters[0].key == "ink"
    assert refused("misty", model="lost")[0] in ("model.unknown", "model.unlike")


def test_a_preset_smuggles_nothing_past_the_limits() -> None:
    def use(**options: Any) -> GenerationRequest:
        saved = [Named("x", Options(**options))]
        return compose(Draft(prompt="a fox", preset="x"), CATALOG, nsfw=False, saved=saved)

    for options, code in (
        ({"steps": 5000}, "number.range"),
        ({"size": "9000x9000"}, "size.side"),
        ({"count": 50}, "number.range"),
        ({"lora": "ink, oil, wax, tar, mud"}, "lora.many"),
        ({"prompt": "x" * PROMPT_MAX}, "prompt.long"),
        ({"model": "off"}, "presets.model"),
        ({"negative": "{prompt} <lora:ink:1>"}, "lora.in_negative"),
        ({"prompt": "{open {prompt}"}, "dynamic.open"),
        ({"prompt": "__nothing__"}, "dynamic.unknown"),
    ):
        with pytest.raises((InvalidRequest, Refused)) as error:
            use(**options)
        assert error.value.code.startswith(code.split(".")[0]), code


def test_a_cell_of_a_comparison_is_what_imagine_gives() -> None:
    draft = Draft(prompt="a {red|blue} fox --ar 3:2", preset="misty, noir", seed=5)
    sheet = compare(draft, [AxisAsk("steps", "20, 30")], CATALOG, nsfw=False, saved=OWN).request
    for cell, steps in zip(sheet.each, (20, 30), strict=True):
        alone = Draft(prompt=draft.prompt, preset=draft.preset, seed=5, steps=steps)
        assert cell == compose(alone, CATALOG, nsfw=False, saved=OWN)
    # What an axis sets counts for more than what the prompt asks for.
    wide = Draft(prompt="a fox --ar 3:2", preset="moody")
    sizes = compare(
        wide, [AxisAsk("size", "512x512, 512x768")], CATALOG, nsfw=False, saved=OWN
    ).request
    assert [(cell.width, cell.height) for cell in sizes.each] == [(512, 512), (512, 768)]
    loras = compare(draft, [AxisAsk("lora", "off, on")], CATALOG, nsfw=False).request
    assert [[use.key for use in cell.adapters] for cell in loras.each] == [[], ["ink"]]


def test_the_options_are_those_of_a_draft() -> None:
    assert {own.name for own in fields(Options)} < {own.name for own in fields(Draft)}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "prompt": st.text(),
        "negative": st.text(),
        "model": st.text(min_size=1),
        "steps": st.integers(1, 100),
        "guidance": st.floats(1, 30),
        "hires": st.sampled_from((1.25, 1.5, 2.0)),
        "preset": st.sampled_from(("draft", "fast")),
    },
)


@given(VALUES)
def test_options_come_back_as_they_were(values: dict[str, Any]) -> None:
    options = Options(**values)
    assert options.given == values
    assert Options.from_dict({**options.given, "of_a_later_version": 1}) == options


WORDS = st.text(alphabet="abc ,{}|\\$_():<>", max_size=20)


@given(WORDS, WORDS)
def test_a_text_without_braces_is_only_replaced(before: str, typed: str) -> None:
    text = before.replace("{", "").replace("}", "").replace("\\", "")
    if typed.strip():
        assert fill(f"{text}{{prompt}}!", typed) == f"{text}{typed}!"


@given(WORDS)
def test_what_is_typed_stays_one_alternative(typed: str) -> None:
    """Whatever a valid prompt holds, it does not change which alternatives a preset has."""
    try:
        parse(typed)
        parts = parse(fill("{{prompt}|b}", typed))
    except InvalidRequest as error:
        assert error.code.startswith("dynamic.")  # noqa: PT017
        return
    [choice] = parts
    assert isinstance(choice, Choice)
    assert len(choice.options) == 2


@pytest.mark.parametrize(
    ("text", "places", "filled"),
    [
        ("{prompt}", True, "a fox"),
        ("x, {prompt} and {prompt}", True, "x, a fox and a fox"),
        (r"\{prompt\} x", False, r"a fox, \{prompt\} x"),
        (r"\\{prompt}", True, r"\\a fox"),
        ("{ prompt }", False, "a fox, { prompt }"),
        ("", False, "a fox"),
    ],
)
def test_where_the_place_is(text: str, places: bool, filled: str) -> None:
    assert has_place(text) is places
    assert fill(text, "a fox") == filled


def test_nothing_typed_leaves_no_gap() -> None:
    assert fill("portrait of {prompt}, fog", "") == "portrait of , fog"
    assert fill("{prompt}, fog", " ") == "fog"
    assert fill("fog", "") == "fog"
