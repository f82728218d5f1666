"""Presets and schedulers by name: what they set, what may be overridden, what is refused."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import (
    AYS,
    AdapterUse,
    Draft,
    GenerationRequest,
    compose,
    find_scheduler,
)
from catalog import SCHEDULERS, AdapterEntry, AdapterFacts, Catalog, FastPreset, ModelEntry

LCM = FastPreset(adapter="lcm", weight=0.9, steps=6, guidance=1.5, scheduler="LCM")
TURBO = FastPreset(steps=5, guidance=2.0, scheduler="DPM++ SDE Karras")


def model(key: str, **fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


def adapter(key: str, **fields: Any) -> AdapterEntry:
    return AdapterEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


MODELS = {
    "base": model("base", fast=LCM),
    "turbo": model("turbo", fast=TURBO),
    "slow": model("slow", guidance={"min": 3.0, "default": 5.0, "max": 9.0}),
    "adult": model("adult", nsfw=True, fast=TURBO),
}
ADAPTERS = {
    key: adapter(key, trigger_words=(f"{key} word",))
    for key in ("lcm", "ink", "oil", "wax", "tar", "mud")
}
CATALOG = Catalog(MODELS, ADAPTERS, "base")
QUICK = Catalog(
    {"base": model("base", fast=LCM.model_copy(update={"adapter": "fine"}))},
    {key: adapter(key) for key in ("lcm", "ink", "fine")},
    "base",
)


def composed(catalog: Catalog = CATALOG, **fields: Any) -> GenerationRequest:
    return compose(Draft(**{"prompt": "a fox", **fields}), catalog, nsfw=False)


def refused(
    kind: type[UserError] = InvalidRequest, catalog: Catalog = CATALOG, **fields: Any
) -> tuple[str, dict[str, Any]]:
    with pytest.raises(kind) as error:
        composed(catalog, **fields)
    return error.value.code, error.value.params


def painted(request: GenerationRequest) -> tuple[Any, ...]:
    return (request.steps, request.guidance, request.scheduler, request.spacing, request.preset)


class TestNone:
    @pytest.mark.parametrize("preset", [None, "", " "])
    def test_everything_is_the_models_own(self, preset: str | None) -> None:
        request = composed(preset=preset)
        assert painted(request) == (30, 7.5, "DPM++ 2M Karras", None, None)
        assert request.adapters == ()


class TestLoRAForFewSteps:
    @pytest.mark.parametrize("lora", ["lcm", "lcm, ink", "fine"])
    def test_fewer_steps_than_the_model_takes(self, lora: str) -> None:
        request = composed(QUICK, lora=lora, steps=4)
        assert (request.steps, request.guidance) == (4, 7.5)
        assert composed(QUICK, lora=lora).steps == 30
        assert composed(QUICK, lora=lora, steps=100).steps == 100

    @pytest.mark.parametrize("fields", [{}, {"lora": "ink"}, {"lora": "lcm", "preset": "draft"}])
    def test_but_not_without_it_nor_where_the_steps_are_a_tables(
        self, fields: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidRequest):
            composed(QUICK, steps=4, **fields)

    def test_by_what_its_file_says(self) -> None:
        for facts in (AdapterFacts(title="SDXL Lightning"), AdapterFacts(output_name="x_4step")):
            catalog = Catalog(QUICK.models, QUICK.adapters, "base", adapter_facts={"ink": facts})
            assert composed(catalog, lora="ink", steps=4).steps == 4


class TestDraft:
    @pytest.mark.parametrize(
        ("key", "drafted"),
        [
            ("base", (10, 7.5, "DPM++ 2M", AYS)),
            ("turbo", (4, 1.0, "Euler trailing", None)),
            ("slow", (10, 5.0, "DPM++ 2M", AYS)),
        ],
    )
    def test_it_works_for_every_model(self, key: str, drafted: tuple[Any, ...]) -> None:
        request = composed(model=key, preset="draft")
        assert painted(request) == (*drafted, "draft")
        assert request.adapters == ()

    def test_in_any_case(self) -> None:
        assert composed(preset=" DRAFT ").preset == "draft"

    def test_its_steps_are_the_tables(self) -> None:
        assert composed(preset="draft", steps=10).steps == 10
        assert refused(preset="draft", steps=20) == (
            "preset.steps",
            {"field": "steps", "value": 20, "preset": "draft", "steps": 10},
        )

    def test_the_rest_can_be_turned(self) -> None:
        request = composed(model="slow", preset="draft", guidance=9, scheduler="euler", lora="ink")
        assert painted(request) == (10, 9, "Euler", AYS, "draft")
        assert request.adapters == (AdapterUse("ink", 1.0),)
        assert refused(model="slow", preset="draft", guidance=2)[0] == "number.range"

    def test_a_scheduler_that_makes_its_own_timesteps_is_refused(self) -> None:
        code, params = refused(preset="draft", scheduler="DPM++ 2M Karras")
        assert (code, params["allowed"]) == (
            "preset.scheduler",
            ("DPM++ 2M", "DPM++ 2M SDE", "Euler"),
        )


class TestFast:
    def test_it_brings_its_lora(self) -> None:
        request = composed(preset="fast")
        assert painted(request) == (6, 1.5, "LCM", None, "fast")
        assert request.adapters == (AdapterUse("lcm", 0.9),)
        assert request.trigger_words == ("lcm word",)

    def test_a_distilled_model_needs_none(self) -> None:
        request = composed(model="turbo", preset="fast")
        assert painted(request) == (5, 2.0, "DPM++ SDE Karras", None, "fast")
        assert request.adapters == ()

    def test_its_lora_comes_on_top_of_the_persons_four(self) -> None:
        request = composed(preset="fast", lora="ink, oil, wax, tar")
        assert [use.key for use in request.adapters] == ["ink", "oil", "wax", "tar", "lcm"]
        code, params = refused(preset="fast", lora="ink, oil, wax, tar, mud")
        assert (code, params["max"]) == ("lora.many", 4)

    def test_its_lora_may_be_given_another_weight(self) -> None:
        assert composed(preset="fast", lora="lcm:0.5, ink").adapters == (
            AdapterUse("lcm", 0.5),
            AdapterUse("ink", 1.0),
        )

    def test_what_the_person_says_counts_within_its_bounds(self) -> None:
        request = composed(preset="fast", steps=12, guidance=4, scheduler="Euler a")
        assert painted(request) == (12, 4, "Euler a", None, "fast")
        assert composed(preset="fast", steps=1, guidance=1).steps == 1
        for field, value, low, high in (
            ("steps", 13, 1, 12),
            ("steps", 0, 1, 12),
            ("guidance", 4.01, 1.0, 4.0),
            ("guidance", 0.99, 1.0, 4.0),
        ):
            fields: dict[str, Any] = {field: value}
            assert refused(preset="fast", **fields) == (
                "number.range",
                {"field": field, "value": value, "min": low, "max": high},
            )

    def test_a_model_without_it_names_those_that_have_it(self) -> None:
        assert refused(Refused, model="slow", preset="fast") == (
            "preset.missing",
            {"preset": "fast", "model": "slow", "models": ("base", "turbo")},
        )

    def test_when_no_model_has_it(self) -> None:
        catalog = Catalog({"slow": MODELS["slow"]}, {}, "slow")
        assert refused(Refused, catalog, preset="fast") == ("preset.nowhere", {"preset": "fast"})

    @pytest.mark.parametrize(
        "adapters",
        [
            {},
            {"lcm": adapter("lcm", enabled=False)},
            {"lcm": adapter("lcm", models=("turbo",))},
        ],
    )
    def test_a_lora_that_is_not_offered_is_named(self, adapters: dict[str, AdapterEntry]) -> None:
        catalog = Catalog(MODELS, adapters, "base")
        assert refused(Refused, catalog, preset="fast") == (
            "preset.adapter",
            {"preset": "fast", "model": "base", "name": "lcm"},
        )

    def test_a_lora_for_age_restricted_channels_is_not_named(self) -> None:
        catalog = Catalog(MODELS, {"lcm": adapter("lcm", nsfw=True)}, "base")
        assert refused(Refused, catalog, preset="fast") == (
            "preset.nsfw",
            {"preset": "fast", "model": "base"},
        )


def test_another_preset_is_refused() -> None:
    assert refused(preset="quick") == (
        "presets.unlike",
        {"field": "preset", "value": "quick", "offered": ("draft", "fast")},
    )


class TestScheduler:
    @pytest.mark.parametrize("name", SCHEDULERS)
    def test_every_one_is_found_in_any_case(self, name: str) -> None:
        for typed in (name, name.lower(), name.upper(), f"  {name} "):
            assert find_scheduler(typed) == name

    @pytest.mark.parametrize(
        ("typed", "name"),
        [
            ("dpmpp_2m", "DPM++ 2M"),
            ("dpmpp_2m_karras", "DPM++ 2M Karras"),
            ("dpm++ 2m sde-karras", "DPM++ 2M SDE Karras"),
            ("dpmpp_sde_karras", "DPM++ SDE Karras"),
            ("euler_ancestral", "Euler a"),
            ("Euler A", "Euler a"),
            ("uni_pc", "UniPC"),
            ("euler sgm_uniform", "Euler trailing"),
        ],
    )
    def test_other_spellings(self, typed: str, name: str) -> None:
        assert find_scheduler(typed) == name

    def test_it_counts_over_the_models(self) -> None:
        assert composed(scheduler="euler a").scheduler == "Euler a"
        assert composed(scheduler="  ").scheduler == "DPM++ 2M Karras"

    def test_an_unknown_one_names_the_nearest(self) -> None:
        code, params = refused(scheduler="eular a")
        assert (code, params["field"], params["value"]) == (
            "scheduler.unknown",
            "scheduler",
            "eular a",
        )
        assert params["nearest"][0] == "Euler a"

    def test_one_that_is_like_no_other_names_all(self) -> None:
        assert refused(scheduler="zzz") == (
            "scheduler.unlike",
            {"field": "scheduler", "value": "zzz", "known": SCHEDULERS},
        )

    @given(st.text(max_size=200))
    def test_any_text_is_a_scheduler_or_refused(self, text: str) -> None:
        with contextlib.suppress(InvalidRequest):
            assert find_scheduler(text) in SCHEDULERS


def test_the_number_of_loras_is_a_setting() -> None:
    draft = Draft(prompt="a fox", lora="ink, oil")
    with pytest.raises(InvalidRequest) as error:
        compose(draft, CATALOG, nsfw=False, adapters_max=1)
    assert error.value.params == {"field": "lora", "value": 2, "max": 1}
    five = Draft(prompt="a fox", lora="ink, oil, wax, tar, mud")
    assert len(compose(five, CATALOG, nsfw=False, adapters_max=5).adapters) == 5


class TestTextWeights:
    @pytest.mark.parametrize(
        ("lora", "use"),
        [
            ("ink:0.8:0.5", AdapterUse("ink", 0.8, 0.5)),
            ("ink:te=0.5", AdapterUse("ink", 1.0, 0.5)),
            ("ink:te=1", AdapterUse("ink", 1.0)),
            ("ink:0.8:0.8", AdapterUse("ink", 0.8)),
            ("ink:0:5", AdapterUse("ink", 0.0, 5.0)),
        ],
    )
    def test_they_are_kept_apart(self, lora: str, use: AdapterUse) -> None:
        assert composed(lora=lora).adapters == (use,)
        assert composed(prompt=f"a fox <lora:{lora}>").adapters == (use,)

    def test_their_bounds_are_those_of_the_other(self) -> None:
        assert refused(lora="ink:1:5.5") == (
            "lora.weight",
            {"field": "lora", "name": "ink", "value": 5.5, "min": -5.0, "max": 5.0},
        )

    def test_either_may_have_a_decimal_comma(self) -> None:
        assert composed(lora="ink:0,8:0,5").adapters == (AdapterUse("ink", 0.8, 0.5),)
