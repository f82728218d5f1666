"""From user input to a request: LoRAs, their weights and their trigger words."""

import pytest

from bot.errors import Refused
from bot.request import AdapterUse
from bot.request.emphasis import Span, parse
from tests.request.composing import composed, refused


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
