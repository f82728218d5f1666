"""From user input to a request: every default, every limit, every refusal."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, UserError
from bot.request import (
    PROMPT_MAX,
    SEED_MAX,
    AdapterUse,
    Draft,
    GenerationRequest,
    compose,
    draw_seed,
)
from tests.request.composing import CATALOG, composed, refused


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
        ("size", "offered"),
        [
            ("1536x1536", "1264x1264"),
            ("3000x1500", "1536x768"),
            ("513x700", "512x696"),
            ("256x256", "512x512"),
            ("100000x8", "1536x512"),
            ("0x0", "512x512"),
        ],
    )
    def test_what_is_offered_instead_is_the_largest_of_that_shape(
        self, size: str, offered: str
    ) -> None:
        assert refused(size=size)[1]["offered"] == offered
        composed(size=offered)

    @given(st.integers(0, 10_000), st.integers(0, 10_000))
    def test_what_is_offered_is_not_refused_as_well(self, width: int, height: int) -> None:
        for model in ("base", "fast"):
            try:
                composed(model=model, size=f"{width}x{height}")
            except InvalidRequest as error:
                composed(model=model, size=str(error.params["offered"]))

    @pytest.mark.parametrize(
        "size", ["huge", "0", "99999", "1023", "-512x512", "512x512x512", "1e3x1e3", "0:1", "1:0"]
    )
    def test_a_form_that_is_not_understood(self, size: str) -> None:
        assert refused(size=size) == ("size.form", {"field": "size", "value": size})


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
