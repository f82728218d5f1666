"""From user input to a request: every default, every limit, every refusal."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import (
    PROMPT_MAX,
    SEED_MAX,
    AdapterUse,
    Draft,
    GenerationRequest,
    check_offered,
    compose,
    draw_seed,
)
from bot.request.emphasis import Span, parse
from catalog import AdapterEntry, AdapterFacts, Catalog, FloatRange, IntRange, ModelEntry


def model(key: str, **fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


def adapter(key: str, **fields: Any) -> AdapterEntry:
    return AdapterEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


MODELS = [
    model("base", name="SDXL base", default_negative="low quality", clip_skip=2),
    model(
        "fast",
        steps=IntRange(min=4, default=6, max=8),
        guidance=FloatRange(min=0, default=1, max=2),
        size=(512, 512),
        min_side=256,
        max_side=768,
        max_pixels=512 * 640,
        scheduler="LCM",
    ),
    model("pony-xl-v6", enabled=False),
    model("adult", nsfw=True),
]
ADAPTERS = [
    adapter("ink", default_weight=0.75, trigger_words=("ink wash", "Sumi-e")),
    adapter("anime", name="Anime Detailer", trigger_words=("anime style", "INK WASH")),
    adapter("pixel", trigger_words=("c++ (pixel)",)),
    adapter("grain"),
    adapter("glow"),
    adapter("off", enabled=False),
    adapter("nude", nsfw=True),
    adapter("fast-only", models=("fast", "base-2")),
    adapter("old-15"),
    adapter("old-vouched", models=("base",)),
    adapter("dynamic"),
    adapter("pony"),
]
FACTS = {
    "ink": AdapterFacts("LoRA", "SDXL", True, tags=("never added",)),
    "old-15": AdapterFacts("LoRA", "SD 1.5", True),
    "old-vouched": AdapterFacts("(IA)³", "SD 1.5", certain=False),
    "dynamic": AdapterFacts("DyLoRA", "SDXL", True),
    "pony": AdapterFacts("LoKr", "Pony", True),
}
CATALOG = Catalog(
    {entry.key: entry for entry in MODELS},
    {entry.key: entry for entry in ADAPTERS},
    "base",
    adapter_facts=FACTS,
)


def composed(prompt: str = "a fox", *, nsfw: bool = False, **fields: Any) -> GenerationRequest:
    return compose(Draft(prompt=prompt, **fields), CATALOG, nsfw=nsfw, draw=lambda: 1234)


def refused(kind: type[UserError] = InvalidRequest, **fields: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(kind) as error:
        composed(**fields)
    return error.value.code, dict(error.value.params)


class TestDefaults:
    def test_only_a_prompt(self) -> None:
        assert composed() == GenerationRequest(
            prompt="a fox",
            negative="low quality",
            model="base",
            steps=30,
            guidance=7.5,
            seed=1234,
            width=1024,
            height=1024,
            scheduler="DPM++ 2M Karras",
            clip_skip=2,
        )

    def test_the_entry_has_its_own(self) -> None:
        request = composed(model="fast")
        assert (request.steps, request.guidance, request.scheduler) == (6, 1.0, "LCM")
        assert (request.width, request.height, request.clip_skip) == (512, 512, None)

    @pytest.mark.parametrize("name", ["base", "BASE", " sdxl BASE "])
    def test_a_model_by_key_or_name_in_any_case(self, name: str) -> None:
        assert composed(model=name).model == "base"

    def test_a_negative_prompt_that_is_empty_is_not_the_default(self) -> None:
        assert composed(negative=None).negative == "low quality"
        assert composed(negative="").negative == ""
        assert composed(negative="  ").negative == ""
        assert composed(negative="blurry").negative == "blurry"

    @pytest.mark.parametrize("size", [None, "", "  "])
    def test_no_size_is_the_native_one(self, size: str | None) -> None:
        assert (composed(size=size).width, composed(size=size).height) == (1024, 1024)

    def test_a_drawn_seed_is_in_range(self) -> None:
        assert all(0 <= draw_seed() <= SEED_MAX for _ in range(100))
        assert len({draw_seed() for _ in range(100)}) > 90


class TestPrompt:
    @pytest.mark.parametrize(
        "prompt",
        [
            *("", "  ", "\n", "<lora:ink>", "\x00\x07", ", <lora:ink> ,"),
            *(
                "\u200b",
                "\u202e\u2066",
                "\ufeff \u00ad",
                "\u3164",
                "\u2800",
                "\u0301",
                "\U000e0041",
            ),
        ],
    )
    def test_an_empty_one_is_refused(self, prompt: str) -> None:
        assert refused(prompt=prompt) == ("prompt.empty", {"field": "prompt"})

    def test_its_length(self) -> None:
        assert len(composed("x" * PROMPT_MAX).prompt) == PROMPT_MAX
        assert refused(prompt="x" * (PROMPT_MAX + 1)) == (
            "prompt.long",
            {"field": "prompt", "value": PROMPT_MAX + 1, "max": PROMPT_MAX},
        )
        assert refused(negative="x" * (PROMPT_MAX + 1))[1]["field"] == "negative"
        # Discord's maximum.
        assert refused(prompt="x" * 6_000)[1]["value"] == 6_000
        # Tags do not count.
        assert composed("x" * PROMPT_MAX + "<lora:ink>").adapters

    def test_what_neither_sqlite_nor_png_can_hold_is_left_out(self) -> None:
        assert composed("a\x00 f\ud800ox\r\n\x1b[31m!").prompt == "a fox\n[31m!"

    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("a \u202efox\u202c in \u2067snow\u2069", "a fox in snow"),
            ("ثعلب في الثلج", "ثعلب في الثلج"),
            ("\u05e9\u05d5\u05e2\u05dc\u200f!", "\u05e9\u05d5\u05e2\u05dc\u200f!"),
            ("👩\u200d🚀 in space", "👩\u200d🚀 in space"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("@everyone **bold** [a](https://x.test)", "@everyone **bold** [a](https://x.test)"),
        ],
    )
    def test_only_what_turns_the_text_around_it_is_taken_out(self, typed: str, kept: str) -> None:
        assert composed(typed, negative=typed).prompt == kept
        assert composed(typed, negative=typed).negative == kept

    @pytest.mark.parametrize("prompt", ["a fox <lora:ink", "<lora:ink:0.5 a fox", "<lyco:ink, a"])
    def test_half_a_tag_is_not_painted_as_words(self, prompt: str) -> None:
        assert refused(prompt=prompt)[0] == "lora.half_tag"

    @pytest.mark.parametrize("negative", ["blurry <lora:ink:0.8>", "<LyCO:ink", "< lora : ink >"])
    def test_a_tag_in_the_negative_prompt_is_refused(self, negative: str) -> None:
        assert refused(negative=negative)[0] == "lora.in_negative"

    @given(st.text(max_size=60))
    def test_any_text_is_composed_or_refused_and_can_be_kept(self, text: str) -> None:
        try:
            request = composed(text, negative=text)
        except UserError:
            return
        json.dumps(request.to_dict(), ensure_ascii=False).encode("utf-8")
        assert "\x00" not in request.prompt + request.negative


class TestNumbers:
    def test_a_seed_of_minus_one_is_drawn(self) -> None:
        assert composed(seed=-1).seed == composed(seed=None).seed == 1234

    @pytest.mark.parametrize(
        ("field", "low", "high", "below", "above"),
        [
            ("steps", 10, 100, 9, 101),
            ("guidance", 1.0, 30.0, math.nextafter(1.0, 0), math.nextafter(30.0, 31)),
            ("seed", 0, SEED_MAX, -2, SEED_MAX + 1),
            ("count", 1, 4, 0, 5),
        ],
    )
    def test_limits_at_their_edges(
        self, field: str, low: Any, high: Any, below: Any, above: Any
    ) -> None:
        for value in (low, high):
            assert getattr(composed(**{field: value}), field) == value
        for value in (below, above):
            assert refused(**{field: value}) == (
                "number.range",
                {"field": field, "value": value, "min": low, "max": high},
            )

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_guidance_that_is_no_number(self, value: float) -> None:
        code, params = refused(guidance=value)
        assert (code, params["field"]) == ("number.range", "guidance")

    def test_the_limits_are_the_models_own(self) -> None:
        assert composed(model="fast", steps=4, guidance=0.0).steps == 4
        assert refused(model="fast", steps=9)[1]["max"] == 8
        assert refused(model="fast", guidance=2.5)[1]["max"] == 2

    def test_seeds_of_several_images_start_again_past_the_end(self) -> None:
        request = composed(seed=SEED_MAX, count=3)
        assert [request.image_seed(n) for n in range(3)] == [SEED_MAX, 0, 1]


class TestSize:
    @pytest.mark.parametrize(
        "size", ["512x512", "1536x512", "512x1536", "1536x1040", "1264×1264", "520 x 1000"]
    )
    def test_what_is_within_the_bounds(self, size: str) -> None:
        request = composed(size=size)
        assert request.width * request.height <= 1_600_000

    @pytest.mark.parametrize(
        "size", ["504x512", "512x504", "1544x512", "513x512", "0x0", "99:1", "512x100000"]
    )
    def test_a_side_that_is_not_possible(self, size: str) -> None:
        code, params = refused(size=size)
        assert code == "size.side"
        assert (params["min"], params["max"], params["step"]) == (512, 1536, 8)
        assert "x" in params["value"]

    def test_too_many_pixels(self) -> None:
        code, params = refused(size="1536x1536")
        assert (code, params["megapixels"], params["max"]) == (
            "size.pixels",
            1536 * 1536 / 1e6,
            1.6,
        )
        assert composed(model="fast", size="512x640").height == 640
        assert refused(model="fast", size="520x640")[0] == "size.pixels"

    @pytest.mark.parametrize(
        "size", ["huge", "0", "99999", "1023", "-512x512", "512x512x512", "1e3x1e3", "0:1", "1:0"]
    )
    def test_a_form_that_is_not_understood(self, size: str) -> None:
        assert refused(size=size) == ("size.form", {"field": "size", "value": size})


class TestModels:
    def test_an_unknown_one_names_the_nearest(self) -> None:
        code, params = refused(model="bsae")
        assert code == "model.unknown"
        assert (params["value"], params["nearest"]) == ("bsae", ("base",))

    def test_one_that_is_like_no_other(self) -> None:
        strange = "q" * 20
        code, params = refused(model=strange)
        assert code == "model.unlike"
        assert params == {"field": "model", "value": strange, "offered": ("base", "fast")}

    def test_a_lora_that_is_like_no_other_names_some_that_fit(self) -> None:
        strange = "q" * 20
        code, params = refused(lora=strange)
        assert code == "lora.unlike"
        assert params["model"] == "base"
        offered = params["offered"]
        assert "ink" in offered
        assert not {"off", "nude", "fast-only", "old-15"} & {*offered}
        many = {f"s{n:02}": AdapterEntry(key=f"s{n:02}", name="S", path="a/b") for n in range(11)}
        for number in (9, 11):
            catalog = replace(CATALOG, adapters=dict([*many.items()][:number]), adapter_facts={})
            with pytest.raises(InvalidRequest) as caught:
                compose(Draft(prompt="a fox", lora=strange), catalog, nsfw=False)
            assert caught.value.params["offered"] == (*many,)[: min(number, 10)]

    def test_a_lora_where_none_is_offered(self) -> None:
        bare = replace(CATALOG, adapters={}, adapter_facts={})
        with pytest.raises(InvalidRequest) as caught:
            compose(Draft(prompt="a fox", lora="ink"), bare, nsfw=False)
        assert caught.value.code == "lora.none"

    def test_a_decimal_comma_is_told_as_the_weight_it_was_meant_to_be(self) -> None:
        code, params = refused(lora="ink:0,6, oil")
        assert (code, params["name"], params["value"]) == ("lora.bad_weight", "ink", "0,6")

    def test_one_that_is_not_enabled(self) -> None:
        assert refused(Refused, model="pony-xl-v6") == ("model.disabled", {"name": "pony-xl-v6"})

    def test_one_for_adults_only(self) -> None:
        # As it was typed: the key may not be known there.
        for typed in ("adult", "ADULT"):
            assert refused(Refused, model=typed) == ("model.nsfw", {"name": typed})
        assert composed(model="adult", nsfw=True).model == "adult"

    def test_where_the_default_is_for_adults_only_the_next_one_is_used(self) -> None:
        models = {"adult": model("adult", nsfw=True), "base": model("base")}
        catalog = Catalog(models, {}, "adult")
        draft = Draft(prompt="a fox")
        assert compose(draft, catalog, nsfw=True).model == "adult"
        assert compose(draft, catalog, nsfw=False).model == "base"
        with pytest.raises(Refused) as error:
            compose(draft, Catalog({"adult": models["adult"]}, {}, "adult"), nsfw=False)
        assert (error.value.code, error.value.params) == ("model.none", {})

    def test_an_empty_catalog(self) -> None:
        with pytest.raises(Refused) as error:
            compose(Draft(prompt="a"), Catalog({}, {}, ""), nsfw=True)
        assert error.value.code == "model.none"


class TestAdapters:
    def test_weights_and_defaults(self) -> None:
        assert composed(lora="ink, Anime Detailer:0.5").adapters == (
            AdapterUse("ink", 0.75),
            AdapterUse("anime", 0.5),
        )

    def test_tags_come_first_and_leave_the_prompt(self) -> None:
        request = composed("a <lora:grain:0.3> fox", lora="ink:1")
        assert request.prompt == "a fox"
        assert request.adapters == (AdapterUse("grain", 0.3), AdapterUse("ink", 1.0))

    @pytest.mark.parametrize("weight", [-5.0, 0.0, 5.0])
    def test_weights_at_their_edges(self, weight: float) -> None:
        assert composed(lora=f"ink:{weight}").adapters == (AdapterUse("ink", weight),)

    @pytest.mark.parametrize("weight", ["5.001", "-5.001", "9" * 400])
    def test_weights_beyond(self, weight: str) -> None:
        code, params = refused(lora=f"ink:{weight}")
        assert (code, params["name"], params["min"], params["max"]) == ("lora.weight", "ink", -5, 5)

    def test_four_but_not_five(self) -> None:
        assert len(composed("a <lora:ink>", lora="anime, pixel, grain").adapters) == 4
        assert refused(prompt="a <lora:ink>", lora="anime, pixel, grain, glow") == (
            "lora.many",
            {"field": "lora", "value": 5, "max": 4},
        )

    @pytest.mark.parametrize("lora", ["ink, ink", "ink:1, INK:0.5", "anime, Anime Detailer"])
    def test_the_same_twice(self, lora: str) -> None:
        code, params = refused(lora=lora)
        assert (code, params["value"]) == ("lora.twice", lora.split(",")[0].split(":")[0])

    def test_the_same_as_tag_and_in_the_list(self) -> None:
        assert refused(prompt="a <lora:ink>", lora="ink")[0] == "lora.twice"

    def test_an_unknown_one_names_the_nearest(self) -> None:
        code, params = refused(lora="anmie:0.5")
        assert (code, params["value"]) == ("lora.unknown", "anmie")
        assert "anime" in params["nearest"]

    def test_one_that_is_not_offered(self) -> None:
        assert refused(Refused, lora="off") == ("lora.disabled", {"name": "off"})
        assert refused(Refused, lora="NUDE") == ("lora.nsfw", {"name": "NUDE"})
        assert composed(lora="nude", nsfw=True).adapters

    def test_one_for_another_model(self) -> None:
        assert refused(Refused, lora="fast-only") == (
            "lora.other_model",
            {"name": "fast-only", "model": "base", "models": ("fast", "base-2")},
        )
        assert composed(model="fast", lora="fast-only").adapters

    def test_one_for_another_base_is_refused_before_it_is_queued(self) -> None:
        code, params = refused(Refused, lora="old-15")
        assert code == "lora.other_base"
        allowed = ("SDXL", "Pony", "Illustrious", "NoobAI")
        assert params == {"name": "old-15", "base": "SD 1.5", "model": "base", "allowed": allowed}
        assert refused(Refused, prompt="a <lora:old-15:1>")[0] == "lora.other_base"
        assert composed(lora="pony, ink").trigger_words == ("ink wash", "Sumi-e")

    def test_the_owner_may_know_better_than_metadata(self) -> None:
        assert composed(lora="old-vouched").adapters

    def test_a_family_that_cannot_be_applied(self) -> None:
        code, params = refused(Refused, lora="dynamic")
        assert (code, params["name"], params["family"]) == ("lora.unsupported", "dynamic", "DyLoRA")
        assert params["allowed"][:5] == ("LoRA", "LoCon", "DoRA", "LoHa", "LoKr")

    def test_a_near_miss_never_leads_to_one_that_does_not_fit(self) -> None:
        assert "old-15" not in str(refused(lora="old-16")[1].get("nearest"))


class TestPromptWeights:
    @pytest.mark.parametrize("prompt", ["(fox:10)", "(fox:-10)", "(fox:nan)", "((fox:5):2)"])
    def test_up_to_ten(self, prompt: str) -> None:
        request = composed(prompt, negative=prompt)
        assert (request.prompt, request.negative) == (prompt, prompt)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("(fox:10.5)", 10.5),
            ("(fox:-11)", -11),
            ("((fox:4):4)", 16),
            ("(" * 26 + "fox", 11.92),
            ("(fox:99999999999)", 1e6),
        ],
    )
    def test_not_beyond(self, text: str, value: float) -> None:
        limits = {"value": value, "min": -10, "max": 10}
        assert refused(prompt=text) == ("prompt.weight", {"field": "prompt"} | limits)
        assert refused(negative=text) == ("prompt.weight", {"field": "negative"} | limits)


class TestTriggerWords:
    @pytest.mark.parametrize(
        ("prompt", "lora", "added"),
        [
            ("a fox", "ink", ("ink wash", "Sumi-e")),
            ("an INK WASH fox", "ink", ("Sumi-e",)),
            ("sumi-e, ink wash", "ink", ()),
            ("ink washed", "ink", ("ink wash", "Sumi-e")),
            ("pink wash", "ink", ("ink wash", "Sumi-e")),
            ("(ink wash:1.2)", "ink", ("Sumi-e",)),
            ("a fox", "ink, anime", ("ink wash", "Sumi-e", "anime style")),
            ("a fox", "pixel", ("c++ (pixel)",)),
            ("C++ (PIXEL) fox", "pixel", ()),
            ("a fox", "grain", ()),
            ("(anime (style:1.2)), INK [wash]", "anime", ()),
            ("anime BREAK style, ink wash", "anime", ("anime style",)),
            (r"c++ \(pixel\) fox", "pixel", ()),
            (r"(c++ \(pixel\):1.3)", "pixel", ()),
        ],
    )
    def test_each_once_and_only_if_missing(
        self, prompt: str, lora: str, added: tuple[str, ...]
    ) -> None:
        request = composed(prompt, lora=lora)
        assert request.trigger_words == added
        assert request.painted_prompt == ", ".join((prompt, *added))

    @pytest.mark.parametrize("prompt", ["a (fox", "a (fox:1.3", "a [[fox", "a (fox\\"])
    def test_an_open_bracket_does_not_reach_them(self, prompt: str) -> None:
        painted = composed(prompt, lora="ink").painted_prompt
        assert parse(painted)[-1] == Span(" ink wash, Sumi-e", 1.0)
        assert parse(painted)[:-1] == parse(f"{prompt},")


class TestOfferedStill:
    def test_a_request_of_earlier(self) -> None:
        request = composed(lora="ink")
        check_offered(request, CATALOG, nsfw=False)
        for models, adapters, code in (
            ({}, CATALOG.adapters, "model.unlike"),
            ({"base": model("base", enabled=False)}, CATALOG.adapters, "model.disabled"),
            ({"base": model("base", nsfw=True)}, CATALOG.adapters, "model.nsfw"),
            (CATALOG.models, {}, "lora.none"),
            (CATALOG.models, {"ink": adapter("ink", enabled=False)}, "lora.disabled"),
            (CATALOG.models, {"ink": adapter("ink", models=("x",))}, "lora.other_model"),
        ):
            with pytest.raises(UserError) as error:
                check_offered(request, Catalog(models, adapters, ""), nsfw=False)
            assert error.value.code == code
        facts = {"ink": AdapterFacts(base="Flux", certain=True)}
        changed = Catalog(CATALOG.models, CATALOG.adapters, "base", adapter_facts=facts)
        with pytest.raises(Refused, match=r"lora\.other_base"):
            check_offered(request, changed, nsfw=False)


def test_a_draft_and_a_request_do_not_show_their_prompts() -> None:
    draft = Draft(prompt="canary-1", negative="canary-2")
    shown = repr(draft) + repr(compose(draft, CATALOG, nsfw=False))
    assert "canary" not in shown


@given(
    st.builds(
        GenerationRequest,
        prompt=st.text(),
        negative=st.text(),
        model=st.text(),
        adapters=st.lists(st.builds(AdapterUse, st.text(), st.floats(-5, 5))).map(tuple),
        trigger_words=st.lists(st.text()).map(tuple),
        steps=st.integers(1, 1000),
        guidance=st.floats(0, 30),
        seed=st.integers(0, SEED_MAX),
        width=st.integers(64, 4096),
        height=st.integers(64, 4096),
        count=st.integers(1, 4),
        scheduler=st.text(),
        clip_skip=st.none() | st.integers(1, 12),
    )
)
def test_a_request_survives_json(asked: GenerationRequest) -> None:
    assert GenerationRequest.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked
    assert asked.with_seed(5).seed == 5
    assert asked.with_seed(asked.seed) == asked


def test_a_scheduler_and_a_preset_that_do_not_fit_the_training_are_refused() -> None:
    flow = model("flow", prediction="flow")
    catalog = Catalog({"flow": flow}, {}, "flow")
    assert compose(Draft(prompt="a fox"), catalog, nsfw=False).scheduler == "Euler"
    assert compose(Draft(prompt="a fox", scheduler="heun"), catalog, nsfw=False).scheduler == "Heun"
    with pytest.raises(InvalidRequest) as refused:
        compose(Draft(prompt="a fox", scheduler="euler a"), catalog, nsfw=False)
    assert refused.value.code == "scheduler.prediction"
    assert refused.value.params == {
        "field": "scheduler",
        "scheduler": "Euler a",
        "prediction": "flow",
        "allowed": flow.schedulers,
    }
    with pytest.raises(UserError) as without:
        compose(Draft(prompt="a fox", preset="draft"), catalog, nsfw=False)
    assert without.value.code == "preset.nowhere"
