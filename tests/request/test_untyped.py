"""What a preset sets and the model does not take is left out with a note; what was typed is
refused."""

from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.progress import Notice
from bot.request import AxisAsk, Composed, Draft, compare, compose_with_notes
from bot.request.options import Named, Options
from bot.request.untyped import in_one_sentence
from catalog import (
    SCHEDULERS,
    AdapterEntry,
    AdapterFacts,
    Catalog,
    IntRange,
    ModelEntry,
    StyleEntry,
)
from catalog.families import Family
from catalog.families.anima import ANIMA
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from catalog.families.zimage import ZIMAGE
from catalog.style_files import StyleReader
from catalog.style_index import Styles
from tests.language import TEXTS

SHIPPED: Final = Path(__file__).parents[2] / "catalog"
MODELS: Final = {
    key: ModelEntry(key=key, name=key, path=f"org/{key}", family=family, variant=variant)
    for key, family, variant in (
        ("sdxl", SDXL, None),
        ("klein", FLUX2, "distilled"),
        ("klein-base", FLUX2, "base"),
        ("turbo", ZIMAGE, "turbo"),
        ("zbase", ZIMAGE, "base"),
        ("anima-turbo", ANIMA, "turbo"),
    )
}
DISTILLED: Final = ("klein", "turbo", "anima-turbo")
ADAPTERS: Final = {key: AdapterEntry(key=key, name=key, path=f"org/{key}") for key in ("xl", "fl")}
FACTS: Final = {
    "xl": AdapterFacts("LoRA", base=SDXL.adapter_bases[0], certain=True),
    "fl": AdapterFacts("LoRA", base=FLUX2.adapter_bases[0], certain=True),
}
CATALOG: Final = Catalog(
    MODELS, ADAPTERS, "sdxl", adapter_facts=FACTS, styles=StyleReader(SHIPPED).read()[0]
)
STYLES: Final = tuple(CATALOG.styles.entries)


def composed(model: str, options: Options | None = None, **fields: Any) -> Composed:
    draft = Draft(**{"prompt": "a fox", "model": model, "seed": 1, "preset": "x", **fields})
    saved = [Named("x", options or Options(prompt="{prompt}"))]
    return compose_with_notes(draft, CATALOG, nsfw=False, saved=saved)


def noted(found: Composed) -> list[tuple[str, Any]]:
    """What each note says was left out; of several things, how they are named."""
    said = ("option", "name", "options")
    return [
        (note.code.rpartition(".")[2], next(note.params[key] for key in said if key in note.params))
        for note in found.notes
    ]


def test_there_are_styles_with_negative_prompts() -> None:
    assert len(STYLES) >= 16
    assert all(style.negative for style in CATALOG.styles.entries.values())


@pytest.mark.parametrize("model", DISTILLED)
@pytest.mark.parametrize("style", STYLES)
def test_every_shipped_style_works_with_models_that_take_no_negative_prompt(
    model: str, style: str
) -> None:
    found = composed(model, preset=style)
    assert found.request.negative == ""
    assert "a fox" in found.request.prompt != "a fox"
    assert noted(found) == [("option", "negative")]
    with pytest.raises(InvalidRequest) as refusal:
        composed(model, preset=style, negative="fog")
    assert (refusal.value.field, refusal.value.code) == ("negative", "family.negative")
    other = composed("zbase", preset=style)
    assert (bool(other.request.negative), other.notes) == (True, ())


def test_a_sampler_of_a_preset_that_does_not_suit_a_model_from_pure_noise_is_left_out() -> None:
    noise = ModelEntry(key="n", name="n", path="org/n", zero_terminal_snr=True)
    catalog = Catalog({"n": noise}, {}, "n")
    saved = [Named("x", Options(prompt="{prompt}", scheduler="DPM++ 2M Karras"))]
    draft = Draft(prompt="a fox", seed=1, preset="x")
    found = compose_with_notes(draft, catalog, nsfw=False, saved=saved)
    assert found.request.scheduler == "Euler"
    assert noted(found) == [("value", "scheduler")]


def test_where_there_is_no_negative_prompt_it_is_said_what_to_do_instead() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        composed("klein", negative="fog")
    params = {"field": "negative", **refusal.value.params}
    assert TEXTS.speaker("en-US")(refusal.value.code, **params) == (
        "negative: klein (FLUX.2 klein) takes no negative prompt. Instead, describe what you do"
        " want to see."
    )


@pytest.mark.parametrize(
    ("model", "options", "left_out"),
    [
        ("klein", {"guidance": 6.0}, ("option", "guidance")),
        ("klein", {"clip_skip": 2}, ("option", "clip_skip")),
        ("klein", {"steps": 30}, ("value", "steps")),
        ("klein", {"scheduler": "DPM++ 2M Karras"}, ("value", "scheduler")),
        ("sdxl", {"size": "2048x2048"}, ("value", "size")),
        ("sdxl", {"steps": 4}, ("value", "steps")),
        ("klein-base", {"preset": "fast"}, ("value", "preset")),
        ("sdxl", {"preset": "draft", "steps": 25}, ("value", "steps")),
        ("klein", {"lora": "xl:0.5"}, ("lora", "xl")),
        ("klein", {"prompt": "{prompt} <lora:xl:0.5>"}, ("lora", "xl")),
        ("klein", {"lora": "fl:0.5:0.2"}, ("text_weight", "fl")),
    ],
)
def test_what_a_preset_sets_and_the_model_does_not_take_is_left_out(
    model: str, options: dict[str, Any], left_out: tuple[str, str]
) -> None:
    found = composed(model, Options(**options))
    kept = {k: v for k, v in options.items() if k not in {left_out[1], "lora", "prompt"}}
    bare = composed(model, Options(prompt="{prompt}", **kept)).request
    if left_out[0] == "text_weight":
        bare = composed(model, lora="fl:0.5").request
    assert found.request == bare
    assert noted(found) == [left_out]


def test_all_that_is_left_out_is_named_in_one_sentence() -> None:
    options = Options(
        prompt="{prompt} <lora:xl:0.5>", negative="fog", steps=30, guidance=6.0, lora="fl:0.5:0.2"
    )
    found = composed("klein", options)
    named = ("`guidance`", "`steps` (30)", "`negative`", "`lora` (xl)")
    # The LoRA itself stays, which takes a sentence of its own.
    codes = {note.code: note for note in found.notes}
    assert codes.keys() == {"presets.left_out.several", "presets.left_out.text_weight"}
    several = codes["presets.left_out.several"]
    said = several.params["options"]
    assert isinstance(said, tuple)
    assert {*said} == {*named}
    assert [each.key for each in found.request.adapters] == ["fl"]
    texts = TEXTS
    params = {"options": ("`guidance`", "`steps` (30)", "`lora` (xl)"), "model": "klein"}
    sentences = {
        locale: texts.speaker(locale)(several.code, **params) for locale in texts.languages
    }
    assert sentences == {
        "en": "The preset sets `guidance`, `steps` (30), and `lora` (xl), which doesn't work with"
        " klein, so I left that out.",
        "de": "Die Voreinstellung setzt `guidance`, `steps` (30) und `lora` (xl), was mit klein"
        " nicht geht. Das habe ich weggelassen.",
        "fr": "Le préréglage indique `guidance`, `steps` (30) et `lora` (xl), ce que klein ne"
        " permet pas\N{NO-BREAK SPACE}: je l’ai laissé de côté.",
    }


def test_a_note_on_something_else_stays_where_it_was() -> None:
    def left(option: str) -> Notice:
        return Notice("presets.left_out.option", {"option": option, "model": "klein"})

    other, last = Notice("lora.other", {}), Notice("seed.other", {})
    one = in_one_sentence([other, left("negative"), last, left("guidance")])
    assert [note.code for note in one] == ["lora.other", "presets.left_out.several", "seed.other"]
    alone = (other, left("negative"), last)
    assert in_one_sentence(alone) == alone


@pytest.mark.parametrize(
    ("model", "typed"),
    [
        ("klein", {"guidance": 6.0}),
        ("klein", {"steps": 30}),
        ("klein", {"clip_skip": 2}),
        ("klein", {"scheduler": "DPM++ 2M Karras"}),
        ("klein", {"lora": "xl:0.5"}),
        ("klein", {"lora": "fl:0.5:0.2"}),
        ("klein", {"prompt": "a fox <lora:xl:0.5>"}),
        ("klein", {"prompt": "a fox --no fog"}),
        ("sdxl", {"size": "2048x2048"}),
    ],
)
def test_the_same_is_refused_where_it_was_typed_also_over_a_preset(
    model: str, typed: dict[str, Any]
) -> None:
    for options in (Options(prompt="{prompt}"), Options(steps=4, guidance=1.0, lora="fl")):
        with pytest.raises((InvalidRequest, Refused)):
            composed(model, options, **typed)


def test_what_the_prompt_itself_asks_for_over_a_preset_is_typed() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        composed("sdxl", Options(size="1024x1024"), prompt="a fox --ar 1:4")
    assert refusal.value.field == "size"


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 5000},
        {"guidance": 99.0},
        {"size": "9000x9000"},
        {"scheduler": "zzz"},
        {"count": 9},
    ],
)
def test_what_no_model_takes_is_a_mistake_in_the_preset(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        composed("klein", Options(**options))


@given(
    model=st.sampled_from(sorted(MODELS)),
    steps=st.none() | st.integers(1, 100),
    guidance=st.none() | st.floats(1, 20),
    clip_skip=st.none() | st.integers(1, 12),
    scheduler=st.none() | st.sampled_from(SCHEDULERS),
    preset=st.sampled_from([None, "draft", "fast"]),
    negative=st.sampled_from([None, "", "fog", "{prompt}, fog"]),
    hires=st.sampled_from([None, 1.25, 1.5, 2.0]),
)
def test_a_preset_of_possible_values_is_never_refused_and_never_passed_over_in_silence(
    model: str, **options: Any
) -> None:
    found = composed(model, Options(**options))
    left_out = {
        name.partition(" ")[0].strip("`")
        for _, what in noted(found)
        for name in ((what,) if isinstance(what, str) else what)
    }
    assert len(found.notes) <= 1
    for name in ("steps", "guidance", "clip_skip", "scheduler"):
        if options[name] is not None and name not in left_out:
            asked = options[name]
            done = getattr(found.request, name)
            assert done == asked or (name == "clip_skip" and asked == 1)
    if options["negative"] and "negative" not in left_out:
        assert "fog" in found.request.negative


def test_a_comparison_says_what_some_of_its_cells_leave_out() -> None:
    draft = Draft(prompt="a fox", preset=STYLES[0], seed=1)
    found = compare(draft, [AxisAsk("model", "sdxl, klein")], CATALOG, nsfw=False)
    first, second = found.request.each
    assert (bool(first.negative), second.negative) == (True, "")
    assert noted(found) == [("option", "negative")]


def test_a_style_with_a_preset_of_the_model_that_another_lacks() -> None:
    quick = StyleEntry(key="quick", name="Quick", prompt="{prompt}, quick", preset="fast")
    catalog = Catalog(MODELS, ADAPTERS, "sdxl", adapter_facts=FACTS, styles=Styles([quick]))
    draft = Draft(prompt="a fox", preset="quick", model="zbase", seed=1)
    found = compare(draft, [AxisAsk("steps", "20, 30")], catalog, nsfw=False)
    assert noted(found) == [("value", "preset")]
    # Typed, it is refused.
    with pytest.raises(UserError, match=r"preset\.missing"):
        compose_with_notes(Draft(prompt="a fox", preset="fast", model="zbase"), CATALOG, nsfw=False)


@pytest.mark.parametrize("language", ["en-US", "de", "fr"])
def test_the_notes_can_be_said(language: str) -> None:
    say = TEXTS.speaker(language)
    for options in (
        Options(guidance=6.0, steps=30, lora="xl"),
        Options(lora="fl:0.5:0.2", negative="fog"),
    ):
        for note in composed("klein", options).notes:
            said = say(note.code, **note.params)
            assert "{" not in said
            assert "klein" in said


@pytest.mark.parametrize("family", [FLUX2, ZIMAGE, ANIMA], ids=lambda family: family.key)
def test_every_variant_has_a_draft_and_the_distilled_ones_are_fast(family: Family) -> None:
    for variant in family.variants:
        model = ModelEntry(key="m", name="m", path="a/b", family=family, variant=variant.name)
        catalog = Catalog({"m": model}, {}, "m")

        def asked(**fields: Any) -> Any:
            draft = Draft(prompt="a fox", seed=1, **fields)
            return compose_with_notes(draft, catalog, nsfw=False).request  # noqa: B023

        usual, draft = asked(), asked(preset="draft")
        assert (draft.width, draft.height) == (720, 720)
        assert variant.steps.min <= draft.steps <= usual.steps
        assert (draft.guidance, draft.scheduler) == (usual.guidance, usual.scheduler)
        assert (draft.spacing, draft.preset) == (None, "draft")
        # What is typed counts for more.
        assert (asked(preset="draft", size="1024x1024").width) == 1024
        assert asked(preset="draft", steps=variant.steps.max).steps == variant.steps.max
        if not variant.distilled:
            with pytest.raises(Refused, match=r"preset\.nowhere"):
                asked(preset="fast")
            continue
        fast = asked(preset="fast")
        assert (fast.steps, fast.guidance, fast.scheduler) == (
            *(usual.steps, usual.guidance, usual.scheduler),
        )
        assert (fast.width, fast.height) == (usual.width, usual.height)


def test_a_draft_keeps_within_what_the_entry_of_its_model_allows() -> None:
    model = ModelEntry(
        key="m",
        name="m",
        path="a/b",
        family=ANIMA,
        variant="base",
        size=(1536, 640),
        min_side=576,
        steps=IntRange(min=12, default=20, max=25),
    )
    draft = Draft(prompt="a fox", preset="draft", seed=1)
    request = compose_with_notes(draft, Catalog({"m": model}, {}, "m"), nsfw=False).request
    assert (request.width, request.height, request.steps) == (1072, 576, 20)


def test_a_distilled_model_is_fast_with_the_sampler_of_its_entry() -> None:
    model = ModelEntry(
        key="m", name="m", path="a/b", family=ZIMAGE, variant="turbo", scheduler="UniPC"
    )
    assert model.fast is not None
    assert (model.fast.scheduler, model.fast.steps) == ("UniPC", 9)
