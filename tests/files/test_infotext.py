"""Generation data as text, as other programs write it: written, and read back."""

import json
import re
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot import __version__
from bot.files.metadata import infotext
from bot.recipe import Weights
from bot.request import (
    AYS,
    SEED_MAX,
    AdapterUse,
    Area,
    ControlUse,
    Hires,
    InitImage,
    Mix,
    Reference,
    Variation,
)
from bot.request.dialects.infotext import Infotext, parse_infotext, settings_of
from bot.request.emphasis import Span, parse
from bot.request.parts import Box
from bot.request.syntax import AdapterAsk, extract_tags, parse_adapters
from tests.files.recipes import FORGE, NASTY, PLAIN, RECIPE, REQUEST, with_request
from tests.parameters import examples


class TestInfotext:
    def test_it_is_what_the_web_ui_writes(self) -> None:
        assert infotext(RECIPE, 43) == (
            "a red fox, anime style <lora:anime-style:0.6> <lora:ink:1>\n"
            "Negative prompt: low quality, bad anatomy\n"
            "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 43, "
            "Size: 1024x768, Model hash: aaaaaaaaaa, Model: sdxl-base, VAE hash: bbbbbbbbbb, "
            'VAE: sdxl-vae-fp16-fix, Lora hashes: "anime-style: cccccccccccc, ink: dddddddddddd", '
            f"Version: imagen {__version__}"
        )

    @pytest.mark.parametrize(
        ("use", "tag"),
        [
            (AdapterUse("ink", 0.8, 0.8), "<lora:ink:0.8>"),
            (AdapterUse("ink", 0.8, 0.5), "<lora:ink:te=0.5:unet=0.8>"),
            (AdapterUse("ink", 1.0, 0.0), "<lora:ink:te=0:unet=1>"),
        ],
    )
    def test_two_weights_are_named_because_the_web_ui_has_them_in_the_other_order(
        self, use: AdapterUse, tag: str
    ) -> None:
        text = infotext(with_request(adapters=(use,)), 1)
        assert text.startswith(f"a red fox, anime style {tag}\n")
        text_weight = None if use.text_weight == use.weight else use.text_weight
        assert parse_adapters(tag) == (AdapterAsk("ink", use.weight, text_weight),)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"init_image": InitImage("a" * 64, 0.6)}, {"Denoising strength": "0.6"}),
            (
                {"init_image": InitImage("a" * 64, 1.0, mask="b" * 64)},
                {"Denoising strength": "1", "Mask mode": "Inpaint masked"},
            ),
            (
                {"init_image": InitImage("a" * 64, 1.0, "b" * 64, Box(256, 0, 768, 768))},
                {
                    "Denoising strength": "1",
                    "Mask mode": "Inpaint masked",
                    "Extended": "768x768+256+0",
                },
            ),
            (
                {"init_image": InitImage("a" * 64, 0.4, "b" * 64, area=Area(0, 900, 700))},
                {
                    "Denoising strength": "0.4",
                    "Mask mode": "Inpaint masked",
                    "Inpaint area": "Only masked",
                    "Masked area padding": "0",
                },
            ),
            (
                {"hires": Hires(1.5, 0.4, 30)},
                {"Denoising strength": "0.4", "Hires upscale": "1.5", "Hires steps": "12"},
            ),
            (
                {"hires": Hires(2.0, 0.4, 30), "init_image": InitImage("a" * 64, 0.75)},
                {"Denoising strength": "0.75", "Hires upscale": "2", "Hires steps": "12"},
            ),
            (
                {"preset": "draft", "spacing": AYS, "scheduler": "DPM++ 2M"},
                {"Schedule type": "Align Your Steps", "Preset": "draft"},
            ),
            ({"reference": Reference("b" * 64, 0.8)}, {"Reference weight": "0.8"}),
        ],
    )
    def test_what_only_some_pictures_have(
        self, fields: dict[str, Any], said: dict[str, str]
    ) -> None:
        plain = parse_infotext(infotext(RECIPE, 1)).settings
        settings = parse_infotext(infotext(with_request(**fields), 1)).settings
        assert dict(settings.items() - plain.items()) == said

    def test_what_followed_an_image_is_a_unit_of_the_web_uis_extension(self) -> None:
        uses = (
            ControlUse("canny", "a" * 64, "canny", 0.85, 0.0, 0.6),
            ControlUse("union", "b" * 64, "openpose"),
            ControlUse("lines", "b" * 64, "lineart"),
            ControlUse("depth", "b" * 64, "depth", is_map=True),
        )
        weights = tuple(Weights(use.key, "e" * 64, "e" * 10) for use in uses)
        text = infotext(replace(with_request(controls=uses), controls=weights), 1)
        plain = parse_infotext(infotext(RECIPE, 1)).settings
        found = parse_infotext(text).settings
        # The extension splits a unit at commas and its parts at the first colon.
        names = [name for name in found if name not in plain]
        assert names == [f"ControlNet {number}" for number in range(len(uses))]
        units = [dict(part.split(": ") for part in found[name].split(", ")) for name in names]
        assert units[0] == {
            "Module": "canny",
            "Model": "canny [eeeeeeeeee]",
            "Weight": "0.85",
            "Resize Mode": "Crop and Resize",
            "Guidance Start": "0",
            "Guidance End": "0.6",
            "Pixel Perfect": "True",
            "Control Mode": "Balanced",
        }
        assert [unit["Module"] for unit in units] == ["canny", "none", "invert", "none"]
        assert {*settings_of(parse_infotext(text)).left} >= {*names}

    def test_what_was_not_used_is_not_mentioned(self) -> None:
        plain = replace(PLAIN, request=replace(PLAIN.request, negative="", trigger_words=()))
        assert infotext(plain, 1) == (
            "a red fox\nSteps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, "
            "Seed: 1, Size: 1024x768, Model hash: aaaaaaaaaa, Model: sdxl-base, "
            f"Version: imagen {__version__}"
        )

    @pytest.mark.parametrize(
        ("scheduler", "said"),
        [
            ("DPM++ 2M", "Sampler: DPM++ 2M, CFG"),
            ("DPM++ 2M SDE Karras", "Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG"),
            ("DPM++ SDE Karras", "Sampler: DPM++ SDE, Schedule type: Karras, CFG"),
            ("Euler a", "Sampler: Euler a, CFG"),
            ("Euler trailing", "Sampler: Euler, Schedule type: SGM Uniform, CFG"),
        ],
    )
    def test_sampler_and_schedule_are_two_settings(self, scheduler: str, said: str) -> None:
        assert said in infotext(with_request(scheduler=scheduler), 1)

    @pytest.mark.parametrize(("ours", "theirs"), [(None, None), (2, "2"), (3, "3")])
    def test_the_web_ui_counts_skipped_layers_from_the_end(
        self, ours: int | None, theirs: str | None
    ) -> None:
        settings = parse_infotext(infotext(with_request(clip_skip=ours), 1)).settings
        assert settings.get("Clip skip") == theirs

    def test_no_folder_of_the_owner_is_told(self) -> None:
        for path in ("/home/anna/vae.safetensors", "C:\\Users\\anna\\vae.safetensors"):
            text = infotext(replace(RECIPE, vae=Weights(path, "b" * 64, "b" * 10)), 1)
            assert "anna" not in text
            assert "VAE: vae.safetensors" in text

    @pytest.mark.parametrize("folder", ["/home/anna/", "C:\\Users\\anna\\", ""])
    def test_a_text_encoder_of_its_own_is_told_by_its_file(self, folder: str) -> None:
        encoder = Weights(f"{folder}qwen_3_4b.safetensors", "e" * 64, "e" * 10)
        text = infotext(replace(RECIPE, text_encoder=encoder), 1)
        assert "anna" not in text
        assert "Text encoder hash: eeeeeeeeee, Text encoder: qwen_3_4b.safetensors, " in text
        # It is the model's own, and nothing that could be asked for.
        assert (
            settings_of(parse_infotext(text)).left
            == settings_of(parse_infotext(infotext(RECIPE, 1))).left
        )

    def test_a_recipe_does_not_show_the_prompt_in_its_repr(self) -> None:
        assert "fox" not in repr(parse_infotext(infotext(RECIPE, 1)))


@settings(max_examples=examples(200))
@given(prompt=NASTY, negative=NASTY, seed=st.integers(0, SEED_MAX))
@example(prompt="", negative="", seed=0)
@example(prompt="Negative prompt: a", negative="", seed=0)
@example(prompt="a\nNegative prompt: b\nSteps: 1", negative="c\nNegative prompt: d", seed=0)
@example(prompt="a\n", negative="\n", seed=0)
def test_prompts_come_back_exactly(prompt: str, negative: str, seed: int) -> None:
    request = replace(PLAIN.request, prompt=prompt, negative=negative, trigger_words=())
    read = parse_infotext(infotext(replace(PLAIN, request=request), seed))
    assert (read.prompt, read.negative) == (prompt, negative)
    assert read.settings["Seed"] == str(seed)
    assert read.settings["Version"] == f"imagen {__version__}"
    assert "Prompt lines" not in read.settings


A1111_PARAM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""AUTOMATIC1111's own expression (modules/infotext_utils.py)."""


@pytest.mark.long
@given(
    vae=st.text(min_size=1, max_size=20).filter(lambda t: "/" not in t and "\\" not in t),
    key=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True),
    guidance=st.floats(0, 30),
)
def test_every_value_comes_back_and_the_web_ui_sees_the_same(
    vae: str, key: str, guidance: float
) -> None:
    recipe = replace(
        RECIPE,
        vae=Weights(vae, "b" * 64, "b" * 10),
        checkpoint=Weights(key, "a" * 64, "a" * 10),
        request=replace(REQUEST, guidance=guidance),
    )
    text = infotext(recipe, 1)
    settings_ = parse_infotext(text).settings
    assert settings_["Model"] == key
    assert float(settings_["CFG scale"]) == guidance
    assert settings_["Lora hashes"] == "anime-style: cccccccccccc, ink: dddddddddddd"
    theirs = {
        name: json.loads(value) if value.startswith('"') else value
        for name, value in A1111_PARAM.findall(text.split("\n")[-1])
    }
    assert theirs == settings_


class TestParse:
    def test_a_text_of_forge(self) -> None:
        read = parse_infotext(FORGE)
        assert read.prompt == "masterpiece, 1girl,\n(fox ears:1.2) <lora:ink:0.8>"
        assert read.negative == "lowres,\nbad hands"
        assert read.settings["Sampler"] == "DPM++ 2M"
        assert read.settings["ADetailer prompt"] == 'a: "b",\nc'
        assert read.settings["Version"] == "f2.0.1v1.10.1-previous-1-g1"
        assert list(read.settings)[:2] == ["Steps", "Sampler"]

    def test_a_line_break_at_the_end_does_not_matter(self) -> None:
        assert parse_infotext(FORGE + "\n \n") == parse_infotext(FORGE)

    def test_without_settings_everything_is_prompt(self) -> None:
        read = parse_infotext("a fox\nin the snow")
        assert (read.prompt, read.negative, read.settings) == ("a fox\nin the snow", "", {})
        read = parse_infotext("a fox\nNegative prompt: dogs")
        assert (read.prompt, read.negative) == ("a fox", "dogs")

    @pytest.mark.parametrize(
        "line",
        [
            'A: "unclosed, B: 2, C: 3, D: 4',
            'A: "quoted" and more, B: 2, C: 3, D: 4',
            'A: "bad \\escape", B: 2, C: 3, D: 4',
            ", , A: 1, B: 2, no colon, C: 3, D: 4",
        ],
    )
    def test_odd_values_do_not_hide_the_next_ones(self, line: str) -> None:
        settings_ = parse_infotext(line).settings
        assert [settings_[k] for k in "BCD"] == ["2", "3", "4"]

    @given(st.text(max_size=200) | NASTY)
    def test_no_text_breaks_it(self, text: str) -> None:
        parse_infotext(text)

    @pytest.mark.parametrize(
        "piece", ["a ", 'a: "', "a: ", '\\"', ' a:"\\', "\t", ",", "Prompt lines: 9"]
    )
    def test_no_text_makes_it_slow(self, piece: str) -> None:
        """Each character is read a bounded number of times; otherwise this would never end."""
        parse_infotext(piece * (400_000 // len(piece)))

    def test_a_line_count_that_lies_is_survived(self) -> None:
        text = "a\nNegative prompt: b\nSteps: 1, Seed: 2, Size: 3x3, Prompt lines: 99999"
        assert parse_infotext(text).prompt == "a\nNegative prompt: b"
        assert parse_infotext(text.replace("99999", "9" * 5000)).negative == "b"

    @pytest.mark.parametrize(
        "prompt",
        [r"(a:1.2), [b] \(c\), (d BREAK e", "([a\nBREAK\n:) b", "a (fox\\", "Steps: (1:2"],
    )
    def test_weights_come_back_as_they_were_typed(self, prompt: str) -> None:
        recipe = with_request(prompt=prompt, negative=prompt)
        read = parse_infotext(infotext(recipe, 1))
        bare, tags = extract_tags(read.prompt)
        assert parse(bare) == parse(recipe.request.painted_prompt)
        assert parse(bare)[-1] == Span(" anime style", 1.0, prompt.count("BREAK"))
        assert [tag.name for tag in tags] == ["anime-style", "ink"]
        assert read.negative == prompt


VARIED: Final = ("Variation seed", "Variation seed strength", "Variations")


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        (None, {"Seed": "42"}),
        (
            Variation(7, 0.25),
            {"Seed": "7", "Variation seed": "42", "Variation seed strength": "0.25"},
        ),
        (
            Variation(7, 0.1 + 0.2),
            {"Seed": "7", "Variation seed": "42", "Variation seed strength": f"{0.1 + 0.2}"},
        ),
        (
            Variation(7, 1e-05),
            {"Seed": "7", "Variation seed": "42", "Variation seed strength": "1e-05"},
        ),
        # The web UI has no words for more than one: it is not told half of it.
        (
            Variation(7, 0.25, (Mix(12, 1.0),)),
            {"Seed": "7", "Variations": "12:1, 42:0.25"},
        ),
    ],
)
def test_a_variation_is_said_with_the_seed_that_it_varies(
    variation: Variation | None, said: dict[str, str]
) -> None:
    read = parse_infotext(infotext(with_request(variation=variation, adapters=()), 42))
    found = {name: text for name, text in read.settings.items() if name in ("Seed", *VARIED)}
    assert found == said
    options = settings_of(read).options
    asked = with_request(variation=variation).request
    assert options["seed"] == asked.base_seed
    assert options.get("variation", "") == asked.mixed_in
    assert not {*VARIED} & {*settings_of(read).left}


def test_the_second_image_is_said_with_its_own() -> None:
    recipe = with_request(variation=Variation(7, 0.25))
    settings = parse_infotext(infotext(recipe, 43)).settings
    assert (settings["Seed"], settings["Variation seed"]) == ("7", "43")


@pytest.mark.parametrize(
    "settings",
    [
        {"Variation seed": "12"},
        {"Variation seed strength": "0.5"},
        {"Variation seed": "twelve", "Variation seed strength": "0.5"},
        {"Variation seed": "5", "Variations": ""},
    ],
)
def test_half_of_a_variation_is_none(settings: dict[str, str]) -> None:
    found = settings_of(Infotext("a fox", "", {"Steps": "20", **settings}))
    assert "variation" not in found.options
    assert {*settings} <= {*found.left}
