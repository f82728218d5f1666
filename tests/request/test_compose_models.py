"""From user input to a request: which model, and what it allows."""

from dataclasses import replace

import pytest

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import Draft, check_offered, compose
from catalog import AdapterEntry, AdapterFacts, Catalog
from tests.request.composing import CATALOG, adapter, composed, model, refused


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

    @pytest.mark.parametrize("written", ["ink=0.8", "ink 0.8", "ink = 0.8", "ink  0.8"])
    def test_a_weight_without_a_colon_is_shown_with_one(self, written: str) -> None:
        code, params = refused(lora=written)
        assert (code, params["example"]) == ("lora.no_colon", "ink:0.8")

    @pytest.mark.parametrize("written", ["nude=0.8", "unheard-of 0.8"])
    def test_what_may_not_be_used_is_not_told_apart_from_what_is_not_there(
        self, written: str
    ) -> None:
        assert refused(lora=written)[0] in ("lora.unlike", "lora.unknown")

    def test_a_decimal_comma_is_read(self) -> None:
        weights = {use.key: use.weight for use in composed(lora="ink:0,6,anime:1,2").adapters}
        assert weights == {"ink": 0.6, "anime": 1.2}

    def test_one_with_a_blank_is_told_as_the_weight_it_was_meant_to_be(self) -> None:
        code, params = refused(lora="ink:0, 6, oil")
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


def test_karras_for_a_model_that_begins_at_pure_noise_is_refused_with_what_fits() -> None:
    noise = model("noise", prediction="v_prediction", zero_terminal_snr=True)
    catalog = Catalog({"noise": noise}, {}, "noise")
    request = compose(Draft(prompt="a fox"), catalog, nsfw=False)
    assert (request.scheduler, request.guidance) == ("Euler", 5.0)
    assert compose(Draft(prompt="a fox", preset="draft"), catalog, nsfw=False).scheduler == "Euler"
    with pytest.raises(InvalidRequest) as refused:
        compose(Draft(prompt="a fox", scheduler="dpmpp_2m karras"), catalog, nsfw=False)
    assert refused.value.code == "scheduler.zero_snr"
    assert refused.value.params == {
        "field": "scheduler",
        "scheduler": "DPM++ 2M Karras",
        "allowed": noise.schedulers,
    }


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
