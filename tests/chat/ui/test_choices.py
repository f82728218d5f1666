"""Autocomplete: at most 25 choices of at most 100 characters, and the typed text is kept."""

from dataclasses import replace
from typing import Any

from discord.app_commands import Choice
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.ui.choices import (
    adapter_choices,
    control_choices,
    model_choices,
    scheduler_choices,
    size_choices,
)
from bot.chat.ui.presets import preset_choices
from bot.request import Draft, compose
from bot.request.controlling import parse_controls
from bot.request.presets import schedulers_of
from bot.request.syntax import parse_adapters, parse_size
from catalog import (
    SCHEDULERS,
    AdapterEntry,
    AdapterFacts,
    Catalog,
    ControlNetEntry,
    ControlNets,
    FastPreset,
    ModelEntry,
)
from catalog.control_types import OF_UNIONS
from catalog.families.flux2 import FLUX2
from catalog.families.sd15 import SD15
from catalog.weight_files import ControlNetFacts
from tests.language import TEXTS
from tests.parameters import examples

SAY = TEXTS.speaker()
MODELS = {
    f"model-{n}": ModelEntry(key=f"model-{n}", name=f"{'Long ' * 15}{n}", path="a/b")
    for n in range(40)
}
MORE: dict[str, dict[str, Any]] = {
    "ink": {},
    "anime": {},
    "nude": {"nsfw": True},
    "other": {"models": ("model-1",)},
    "off": {"enabled": False},
    "inky-15": {},
    "inky-dyn": {"nsfw": True},
}
ADAPTERS = {
    f"{'style-' * 6}{n}": AdapterEntry(
        key=f"{'style-' * 6}{n}", name=f"{'Detailer ' * 8}{n}", path="a/b", default_weight=0.75
    )
    for n in range(40)
}
ADAPTERS |= {
    key: AdapterEntry(key=key, name=key.title(), path="a/b", **more) for key, more in MORE.items()
}
FACTS = {
    "ink": AdapterFacts(algorithm="LoRA", base="Pony", certain=True),
    "inky-15": AdapterFacts(algorithm="LoRA", base="SD 1.5", certain=True),
    "inky-dyn": AdapterFacts(algorithm="DyLoRA", base="SDXL", certain=True),
}
CATALOG = Catalog(MODELS, ADAPTERS, "model-0", adapter_facts=FACTS)


def values(choices: list[Choice[str]]) -> list[str]:
    return [choice.value for choice in choices]


def loras(text: str, *, nsfw: bool = False, model: str | None = "model-0") -> list[str]:
    return values(adapter_choices(text, CATALOG, SAY, nsfw=nsfw, model=model))


def check(choices: list[Choice[str]]) -> None:
    assert len(choices) <= 25
    for choice in choices:
        assert 1 <= len(choice.name) <= 100
        assert 1 <= len(choice.value) <= 100


TYPED = st.text(max_size=120) | st.text(alphabet="inkame-style,:0.5 <>x", max_size=120)


@settings(max_examples=examples(60), deadline=None)
@given(text=TYPED)
def test_whatever_is_typed_the_choices_are_within_the_limits(text: str) -> None:
    check(model_choices(text, CATALOG, nsfw=True))
    check(scheduler_choices(text, SCHEDULERS))
    check(adapter_choices(text, CATALOG, SAY, nsfw=True, model="model-0"))
    for model in (MODELS["model-0"], SMALL):
        check(size_choices(text, model, SAY))


class TestModels:
    def test_all_are_offered_at_first(self) -> None:
        choices = model_choices("", CATALOG, nsfw=False)
        assert len(choices) == 25
        assert choices[0].value == "model-0"

    def test_one_is_found_by_its_key(self) -> None:
        assert values(model_choices("model-17", CATALOG, nsfw=False))[0] == "model-17"


class TestLoras:
    def test_the_last_one_is_completed_and_the_others_kept(self) -> None:
        assert loras("in")[0] == "ink"
        assert loras("anime:0.6, in")[0] == "anime:0.6, ink"
        assert loras("anime:0.6,in:0.8")[0] == "anime:0.6, ink:0.8"
        assert loras("ink:")[0] == "ink:"
        assert loras("anime, ") == [f"anime, {key}" for key in [*ADAPTERS][:25]]
        assert loras(", ") == loras("")

    @given(earlier=st.lists(st.sampled_from(["a:0.5", "b", "Anime Detailer:1"]), min_size=1))
    @settings(max_examples=20, deadline=None)
    def test_the_earlier_ones_stay_as_they_were(self, earlier: list[str]) -> None:
        kept = ", ".join(earlier)
        for value in loras(f"{kept}, in"):
            asks = parse_adapters(value)
            assert asks[: len(earlier)] == parse_adapters(kept)
            assert len(asks) == len(earlier) + 1

    def test_one_that_is_chosen_is_not_offered_again(self) -> None:
        assert all(not value.endswith(", ink") for value in loras("INK:0.5, i"))

    def test_what_is_not_offered_here(self) -> None:
        assert "nude" not in loras("nude")
        assert "nude" in loras("nude", nsfw=True)
        assert "other" not in loras("")
        assert "other" in loras("other", model="model-1")
        assert "off" not in loras("off", nsfw=True)

    def test_one_that_does_not_fit_is_found_last_and_marked_by_who_types_its_name(self) -> None:
        few = {key: ADAPTERS[key] for key in ("inky-15", "anime")}
        small = Catalog(MODELS, few, "model-0", adapter_facts={"inky-15": FACTS["inky-15"]})
        for text in ("", "  ", "ink, "):
            proposed = values(adapter_choices(text, small, SAY, nsfw=True, model="model-0"))
            assert [value.strip() for value in proposed] == [f"{text.strip()} anime".strip()]
        found = adapter_choices("anime, ink", CATALOG, SAY, nsfw=True, model="model-0")
        assert [choice.name for choice in found] == [
            "anime, ink · Ink (1) · LoRA · Pony",
            "anime, inky-15 · ⚠ made for SD 1.5, won't fit",
            "anime, inky-dyn · ⚠ DyLoRA, not supported",
        ]
        assert loras("inky") == ["inky-15"]
        only = adapter_choices("other", CATALOG, SAY, nsfw=True, model="model-0")
        assert [choice.name for choice in only] == ["other · ⚠ only for model-1"]
        assert loras("anime, inky-15, inky") == []

    def test_as_many_trigger_words_are_shown_as_there_is_room_for(self) -> None:
        words = ("ink wash", "a brush that is nearly dry", "x" * 60)
        known = AdapterEntry(key="known", name="Known", path="a/b", trigger_words=words)
        likely = AdapterEntry(key="likely", name="Likely", path="a/b")
        facts = {"likely": AdapterFacts(algorithm="LoRA", rank=16, base="SDXL", tags=words[:1])}
        small = Catalog(MODELS, {"known": known, "likely": likely}, "model-0", adapter_facts=facts)
        found = adapter_choices("", small, SAY, nsfw=True, model="model-0")
        assert [choice.name for choice in found] == [
            "known · Known (1) · Trigger words: ink wash, a brush that is nearly dry",
            "likely · Likely (1) · LoRA · rank 16 · SDXL · Possible trigger words: ink wash",
        ]

    def test_one_that_would_be_too_long_is_left_out(self) -> None:
        kept = ", ".join(f"{'style-' * 6}{n}" for n in range(2))
        assert loras(f"{kept}, anime") == [f"{kept}, anime"]
        assert loras(f"{kept}, style-") == []


SMALL = ModelEntry(
    key="small",
    name="Small",
    path="a/b",
    size=(512, 512),
    min_side=384,
    max_side=768,
    max_pixels=512 * 512,
)


@st.composite
def models(draw: Any) -> ModelEntry:
    low = draw(st.integers(8, 64)) * 8
    high = draw(st.integers(low // 8, 256)) * 8
    sides = st.integers(low // 8, high // 8).map(lambda n: n * 8)
    width, height = draw(sides), draw(sides)
    more = draw(st.integers(0, 500_000))
    return ModelEntry(
        key="m",
        name="M",
        path="a/b",
        size=(width, height),
        min_side=low,
        max_side=high,
        max_pixels=min(width * height + more, 4096 * 4096),
    )


class TestSizes:
    @settings(max_examples=examples(80))
    @given(model=models())
    def test_every_preset_is_possible(self, model: ModelEntry) -> None:
        catalog = Catalog({"m": model}, {}, "m")
        choices = size_choices("", model, SAY)
        assert choices[0].value == f"{model.size[0]}x{model.size[1]}"
        for choice in choices:
            width, height = parse_size(choice.value, model.size, model.family)
            assert width % model.family.pixel_step == height % model.family.pixel_step == 0
            request = compose(Draft(prompt="a", size=choice.value), catalog, nsfw=False)
            assert (request.width, request.height) == (width, height)
        assert len(set(values(choices))) == len(choices)

    def test_what_was_typed_comes_first_when_it_is_a_size(self) -> None:
        model = MODELS["model-0"]
        assert values(size_choices("832x1216", model, SAY))[0] == "832x1216"
        assert values(size_choices("16:9", model, SAY))[0] == "1344x768"
        assert values(size_choices("zzz", model, SAY)) == ["1024x1024"]

    def test_presets_are_found_by_their_words(self) -> None:
        found = size_choices("portrait", MODELS["model-0"], SAY)
        assert len(found) > 2
        assert all("portrait" in choice.name for choice in found[1:])


class TestSchedulers:
    def test_all_are_offered_at_first(self) -> None:
        assert values(scheduler_choices("", SCHEDULERS)) == [*SCHEDULERS]

    def test_those_that_hold_what_was_typed(self) -> None:
        assert values(scheduler_choices(" euler", SCHEDULERS)) == [
            "Euler",
            "Euler a",
            "Euler trailing",
        ]

    def test_another_program_s_name_finds_the_one_that_is_meant(self) -> None:
        assert values(scheduler_choices("dpmpp_2m", SCHEDULERS)) == ["DPM++ 2M"]
        assert values(scheduler_choices("euler_ancestral", SCHEDULERS))[0] == "Euler a"

    def test_what_is_in_none_of_them_leaves_all_to_choose_from(self) -> None:
        assert values(scheduler_choices("zzz", SCHEDULERS)) == [*SCHEDULERS]

    def test_only_those_that_fit_how_the_model_was_trained(self) -> None:
        assert values(scheduler_choices("", FLOW.schedulers)) == [*FLOW.schedulers]
        assert values(scheduler_choices("euler", FLOW.schedulers)) == ["Euler"]
        assert values(scheduler_choices("euler a", FLOW.schedulers)) == [*FLOW.schedulers]
        assert "DPM++ 2M Karras" not in values(scheduler_choices("2m", FLOW.schedulers))

    def test_only_those_of_the_preset_if_the_model_has_it(self) -> None:
        usual = MODELS["model-0"]
        draft = ("DPM++ 2M", "DPM++ 2M SDE", "Euler")
        assert schedulers_of("draft", usual, CATALOG, nsfw=False) == draft
        assert schedulers_of(None, usual, CATALOG, nsfw=False) == SCHEDULERS
        for preset in ("draft", "fast", "none"):
            assert schedulers_of(preset, FLOW, CATALOG, nsfw=False) == FLOW.schedulers


FLOW = ModelEntry(key="flow", name="Flow", path="a/b", prediction="flow")
KLEIN = ModelEntry(key="k", name="Klein", path="a/b", family=FLUX2)


class TestPresets:
    def test_only_those_that_the_model_has(self) -> None:
        fast = ModelEntry(
            key="f", name="F", path="a/b", fast=FastPreset(steps=4, guidance=1, scheduler="LCM")
        )
        lora = ModelEntry(
            key="l",
            name="L",
            path="a/b",
            fast=FastPreset(steps=4, guidance=1, scheduler="LCM", adapter="nude"),
        )
        for model, nsfw, expected in (
            (MODELS["model-0"], False, ["draft"]),
            (fast, False, ["draft", "fast"]),
            (lora, False, ["draft"]),
            (lora, True, ["draft", "fast"]),
            (FLOW, False, []),
            (KLEIN, False, ["draft", "fast"]),
            (KLEIN.model_copy(update={"variant": "base", "fast": None}), False, ["draft"]),
        ):
            found = preset_choices("", (), model, CATALOG, SAY, nsfw=nsfw)
            assert values(found) == expected, model.key
        assert values(preset_choices(" FA", (), fast, CATALOG, SAY, nsfw=False)) == ["fast"]


TYPES = OF_UNIONS[6]


def network(key: str, **more: Any) -> ControlNetEntry:
    return ControlNetEntry(key=key, name=key.title(), path="a/b", **more)


FOLLOWING = Catalog(
    MODELS,
    {},
    "model-0",
    controlnets=ControlNets(
        {
            "canny": network("canny"),
            "depth": network("depth"),
            "union": network("union"),
            "canny-sd15": network("canny-sd15", family="sd15"),
            "off": network("off", enabled=False),
            "nude": network("nude", nsfw=True),
            "broken": network("broken"),
            "elsewhere": network("elsewhere", models=("model-1",)),
        },
        facts={
            "canny": ControlNetFacts("controlnet", "sdxl"),
            "union": ControlNetFacts("union", "sdxl", TYPES),
        },
        unfit={"broken": "it is a LoRA"},
    ),
)


class TestControlNets:
    def follow(self, text: str, model: ModelEntry = MODELS["model-0"], **more: bool) -> list[str]:
        return values(control_choices(text, FOLLOWING, model=model, **{"nsfw": False, **more}))

    def test_those_of_the_models_family_and_each_type_of_one_for_several(self) -> None:
        types = [f"union/{name}" for name in TYPES]
        assert self.follow("") == ["canny", "depth", *types]
        assert self.follow("", nsfw=True)[-1] == "nude"
        old = ModelEntry(key="old", name="Old", path="a/b", family=SD15)
        assert self.follow("", old) == ["canny-sd15"]
        assert self.follow("", KLEIN) == []

    def test_a_name_or_a_type_is_enough(self) -> None:
        assert self.follow("can") == ["canny", "union/canny"]
        assert self.follow("Dep") == ["depth", "union/depth"]
        assert self.follow("union/s") == ["union/scribble", "union/softedge", "union/segment"]
        assert self.follow("pose") == []
        assert self.follow("open") == ["union/openpose"]
        assert self.follow("uni") == [f"union/{name}" for name in TYPES]

    def test_a_type_that_is_found_in_a_name_is_meant_as_a_type(self) -> None:
        several = ControlNetEntry(key="all", name="Everything but a kitchen tile", path="a/b")
        facts = {"all": ControlNetFacts("union", "sdxl", OF_UNIONS[8])}
        known = replace(FOLLOWING, controlnets=ControlNets({"all": several}, facts))
        found = control_choices("tile", known, nsfw=False, model=MODELS["model-0"])
        assert values(found) == ["all/tile"]

    def test_what_is_said_of_it_and_what_stands_before_it_is_kept(self) -> None:
        assert self.follow("can:0.8 until 60%") == [
            "canny:0.8 until 60%",
            "union/canny:0.8 until 60%",
        ]
        assert self.follow("can as map") == ["canny as map", "union/canny as map"]
        assert self.follow("depth:0.5 , can") == [
            "depth:0.5, canny",
            "depth:0.5, union/canny",
        ]
        for choice in self.follow("depth:0.5, can:0.8 from 10% until 60% as map"):
            assert parse_controls(choice)[0].weight == 0.5
        assert self.follow("canny, depth, ") == []

    @settings(max_examples=examples(60))
    @given(text=st.text(max_size=120))
    def test_whatever_is_typed_they_keep_to_the_limits(self, text: str) -> None:
        found = control_choices(text, FOLLOWING, nsfw=True, model=MODELS["model-0"])
        assert len(found) <= 25
        assert all(1 <= len(each.value) <= 100 and len(each.name) <= 100 for each in found)
