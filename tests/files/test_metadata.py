"""A PNG's metadata: written, read back, and read from any source."""

import io
import json
import re
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot import __version__
from bot.files.metadata import TEXT_MAX, encode_png, infotext, read_png
from bot.recipe import Recipe, Weights
from bot.request import (
    AYS,
    CRISP,
    REPAINT,
    SEED_MAX,
    AdapterUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
    Upscale,
)
from bot.request.dialects.infotext import parse_infotext, settings_of
from bot.request.emphasis import Span, parse
from bot.request.syntax import AdapterAsk, extract_tags, parse_adapters

REQUEST = GenerationRequest(
    prompt="a red fox",
    negative="low quality, bad anatomy",
    model="sdxl-base",
    adapters=(AdapterUse("anime-style", 0.6), AdapterUse("ink", 1.0)),
    trigger_words=("anime style",),
    steps=30,
    guidance=7.5,
    seed=42,
    width=1024,
    height=768,
    count=2,
    scheduler="DPM++ 2M Karras",
)
RECIPE = Recipe(
    request=REQUEST,
    checkpoint=Weights("sdxl-base", "a" * 64, "a" * 10),
    vae=Weights("madebyollin/sdxl-vae-fp16-fix", "b" * 64, "b" * 10),
    adapters=(Weights("anime-style", "c" * 64, "c" * 12), Weights("ink", "d" * 64, "d" * 12)),
    scheduler={"class": "X", "betas": [0.1, 2], "lower": float("-inf"), "none": None},
    environment={"torch": "2.13.0", "device": "cpu"},
)
PLAIN = replace(RECIPE, adapters=(), vae=None, request=replace(REQUEST, adapters=()))


def with_request(**fields: Any) -> Recipe:
    return replace(RECIPE, request=replace(REQUEST, **fields))


def image(mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 8), 7)


class TestUpscales:
    def enlarged(self, upscale: Upscale, **fields: Any) -> Recipe:
        asked = replace(REQUEST, count=1, upscale=upscale, **fields)
        return replace(RECIPE, request=asked, upscaler=Weights("sharp", "e" * 64, "e" * 10))

    def test_the_upscaler_alone_is_what_the_web_ui_calls_extras(self) -> None:
        fields = {"prompt": "", "negative": "", "model": "", "steps": 0, "scheduler": ""}
        upscale = Upscale("f" * 64, "sharp", 2.0, CRISP)
        recipe = self.enlarged(upscale, adapters=(), trigger_words=(), **fields)
        recipe = replace(recipe, checkpoint=None, vae=None, adapters=(), scheduler={})
        text = infotext(recipe, 0)
        assert text == (
            "\nSize: 1024x768, Postprocess upscale by: 2, Postprocess upscaler: sharp, "
            f"Version: imagen {__version__}"
        )
        assert parse_infotext(text).prompt == ""
        assert parse_infotext(text).settings["Postprocess upscaler"] == "sharp"
        assert read_png(encode_png(image(), recipe, 0)).recipe == recipe

    def test_what_is_painted_over_has_both(self) -> None:
        recipe = self.enlarged(Upscale("f" * 64, "sharp", 1.5, REPAINT, 0.3))
        settings = parse_infotext(infotext(recipe, 7)).settings
        assert settings["Steps"] == "30"
        assert settings["Denoising strength"] == "0.3"
        assert settings["Postprocess upscale by"] == "1.5"
        assert settings["Postprocess mode"] == "repaint"
        assert read_png(encode_png(image(), recipe, 7)).recipe == recipe

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_a_number_that_is_none_is_refused(self, number: float) -> None:
        recipe = self.enlarged(Upscale("f" * 64, "sharp", number, CRISP))
        with pytest.raises(ValueError, match=r"out of range|not a recipe"):
            read_png(encode_png(image(), recipe, 7))


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
        recipe = replace(RECIPE, text_encoder=encoder)
        assert read_png(encode_png(image(), recipe, 1)).recipe == recipe

    def test_a_recipe_does_not_show_the_prompt_in_its_repr(self) -> None:
        assert "fox" not in repr(parse_infotext(infotext(RECIPE, 1)))


NASTY = st.lists(
    st.sampled_from(
        [
            "Negative prompt:",
            "Negative prompt: ",
            "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1",
            "Prompt lines: 1",
            "\n",
            "\n\n",
            " ",
            '"',
            "\\",
            ",",
            "🦊",
            "水彩",
            "<lora:x:1>",
            "\r",
            "\u2028",
            "a fox",
        ]
    )
    | st.text(max_size=5),
    max_size=8,
).map("".join)


@settings(max_examples=200)
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
    FORGE = (
        "masterpiece, 1girl,\n(fox ears:1.2) <lora:ink:0.8>\n"
        "Negative prompt: lowres,\nbad hands\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, "
        "Size: 512x512, Model hash: 45dee52b, Model: x, "
        'ADetailer prompt: "a: \\"b\\",\\nc", '
        'Lora hashes: "ink: 0123456789ab", Version: f2.0.1v1.10.1-previous-1-g1'
    )

    def test_a_text_of_forge(self) -> None:
        read = parse_infotext(self.FORGE)
        assert read.prompt == "masterpiece, 1girl,\n(fox ears:1.2) <lora:ink:0.8>"
        assert read.negative == "lowres,\nbad hands"
        assert read.settings["Sampler"] == "DPM++ 2M"
        assert read.settings["ADetailer prompt"] == 'a: "b",\nc'
        assert read.settings["Version"] == "f2.0.1v1.10.1-previous-1-g1"
        assert list(read.settings)[:2] == ["Steps", "Sampler"]

    def test_a_line_break_at_the_end_does_not_matter(self) -> None:
        assert parse_infotext(self.FORGE + "\n \n") == parse_infotext(self.FORGE)

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


class TestPng:
    def test_everything_comes_back(self) -> None:
        data = encode_png(image(), RECIPE, 43)
        read = read_png(data)
        assert read.recipe == RECIPE
        assert read.seed == 43
        assert read.parameters == infotext(RECIPE, 43)

    def test_the_whole_request_comes_back(self) -> None:
        recipe = with_request(
            adapters=(AdapterUse("ink", 0.8, 0.5),),
            preset="draft",
            spacing=AYS,
            hires=Hires(1.5, 0.4, 30),
            init_image=InitImage("a" * 64, 0.6),
            reference=Reference("b" * 64, 0.8),
        )
        assert read_png(encode_png(image(), recipe, 43)).recipe == recipe

    @pytest.mark.parametrize("asked", [None, "eager"])
    def test_a_picture_asks_for_the_kernels_that_it_was_painted_with(
        self, asked: str | None
    ) -> None:
        """Otherwise the files of an original and its repetition would differ."""
        recipe = replace(with_request(kernels=asked), environment={"kernels": "eager"})
        data = encode_png(image(), recipe, 43)
        written = read_png(data).recipe
        assert written is not None
        assert written.request.kernels == "eager"
        other = replace(with_request(kernels="compiled"), environment={"kernels": "eager"})
        assert encode_png(image(), other, 43) == data

    def test_pillow_and_so_the_web_ui_reads_the_same(self) -> None:
        with Image.open(io.BytesIO(encode_png(image(), RECIPE, 43))) as opened:
            assert opened.info["parameters"] == infotext(RECIPE, 43)
            data = {"seed": 43, "recipe": RECIPE.to_dict()}
            assert json.loads(opened.info["imagen"]) == json.loads(json.dumps(data))
            assert opened.tobytes() == image().tobytes()

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        carried = image()
        carried.info = {"dpi": (72, 72), "icc_profile": b"x", "parameters": "other"}
        assert encode_png(carried, RECIPE, 1) == encode_png(image(), RECIPE, 1)
        assert carried.info["dpi"] == (72, 72)
        turned = replace(RECIPE, scheduler=dict(reversed(RECIPE.scheduler.items())))
        assert encode_png(image(), turned, 1) == encode_png(image(), RECIPE, 1)
        assert encode_png(image(), RECIPE, 1) != encode_png(image(), RECIPE, 2)

    @settings(max_examples=100)
    @given(prompt=NASTY, negative=st.text(max_size=20), weight=st.floats(-5, 5))
    def test_any_prompt_comes_back(self, prompt: str, negative: str, weight: float) -> None:
        recipe = with_request(
            prompt=prompt, negative=negative, adapters=(AdapterUse("ink", weight),)
        )
        read = read_png(encode_png(image(), recipe, 0))
        assert read.recipe == recipe
        assert read.parameters == infotext(recipe, 0)

    def test_a_lone_surrogate_does_not_stop_the_picture(self) -> None:
        data = encode_png(image(), with_request(prompt="a\ud800b"), 0)
        assert b"a?b" in data

    def test_the_prompt_is_not_in_the_repr(self) -> None:
        assert "fox" not in repr(read_png(encode_png(image(), RECIPE, 1)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def imagen(data: object) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return png(chunk(b"tEXt", b"imagen\0" + text.encode()))


class TestForeign:
    def test_a_png_without_texts_says_nothing(self) -> None:
        read = read_png(png())
        assert (read.parameters, read.recipe, read.seed) == (None, None, None)

    @pytest.mark.parametrize(
        "body",
        [
            chunk(b"tEXt", b"parameters\0caf\xe9"),
            chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"caf\xe9")),
            chunk(b"iTXt", b"parameters\0\0\0\0\0" + "café".encode()),
            chunk(b"iTXt", b"parameters\0\0\0de\0Angaben\0" + "café".encode()),
            chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress("café".encode())),
        ],
    )
    def test_every_kind_of_text_chunk_is_read_before_and_after_the_pixels(
        self, body: bytes
    ) -> None:
        pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
        assert read_png(png(body, pixels)).parameters == "café"
        assert read_png(png(pixels, body)).parameters == "café"

    def test_the_first_of_several_counts(self) -> None:
        data = png(chunk(b"tEXt", b"parameters\0one"), chunk(b"tEXt", b"parameters\0two"))
        assert read_png(data).parameters == "one"

    def test_other_chunks_are_not_looked_into(self) -> None:
        bomb = zlib.compress(b"x" * 50_000_000)
        data = png(chunk(b"zTXt", b"workflow\0\0" + bomb), chunk(b"IDAT", bomb))
        assert read_png(data).parameters is None

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a" + b"\0" * 50,
            png()[:-1],
            png(chunk(b"tEXt", b"parameters\0abc"))[:-20],
            png(chunk(b"tEXt", b"parameters\0abc").replace(b"abc", b"abd")),
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 0xFFFFFFFF, b"tEXt") + b"\0" * 20,
            png(chunk(b"tEXt", b"parameters\0" + b"x" * (TEXT_MAX + 300))),
            png(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * (TEXT_MAX + 1)))),
            png(chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(b"x" * 50_000_000))),
            png(chunk(b"zTXt", b"parameters\0\0not zlib")),
            png(chunk(b"iTXt", b"parameters\0\0\0\0\0\xff\xfe")),
        ],
    )
    def test_what_is_damaged_or_too_large_is_a_value_error(self, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"PNG|larger|utf-8"):
            read_png(data)

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": -1},
            {"seed": SEED_MAX + 1},
            {"seed": True},
            {"seed": "1"},
            {"recipe": None},
            {"recipe": {}},
            {"recipe": {"request": 3}},
            {"recipe": RECIPE.to_dict() | {"adapters": "abc"}},
            {"recipe": RECIPE.to_dict() | {"checkpoint": {"name": 3, "sha256": "", "short": ""}}},
            {"recipe": RECIPE.to_dict() | {"request": REQUEST.to_dict() | {"steps": "30"}}},
            {"recipe": RECIPE.to_dict() | {"request": REQUEST.to_dict() | {"prompt": ["a"]}}},
            {
                "recipe": RECIPE.to_dict()
                | {"request": REQUEST.to_dict() | {"guidance": float("nan")}}
            },
            {
                "recipe": RECIPE.to_dict()
                | {"request": REQUEST.to_dict() | {"adapters": [{"key": "a", "weight": 1e999}]}}
            },
        ],
    )
    def test_a_recipe_of_other_types_is_a_value_error(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="the imagen chunk"):
            read_png(imagen({"seed": 1, "recipe": RECIPE.to_dict()} | change))

    @pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000, '{"seed": ' + "9" * 9999])
    def test_json_that_is_no_recipe_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError, match="the imagen chunk"):
            read_png(imagen(text))

    def test_a_recipe_that_was_written_by_us_is_read(self) -> None:
        assert read_png(imagen({"seed": 1, "recipe": RECIPE.to_dict()})).recipe == RECIPE

    @settings(max_examples=100)
    @given(st.data())
    def test_no_bytes_raise_anything_else(self, data: st.DataObject) -> None:
        raw = bytearray(encode_png(image(), RECIPE, 1))
        for _ in range(data.draw(st.integers(1, 5))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(raw)))
        for candidate in (bytes(raw), bytes(raw[:cut])):
            try:
                read_png(candidate)
            except ValueError:
                continue

    @settings(max_examples=100)
    @given(
        kind=st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]),
        name=st.sampled_from([b"parameters", b"imagen"]),
        body=st.binary(max_size=60) | st.binary(max_size=20).map(zlib.compress),
    )
    def test_no_text_chunk_raises_anything_else(
        self, kind: bytes, name: bytes, body: bytes
    ) -> None:
        for separator in (b"", b"\0", b"\0\0", b"\0\1\0\0\0"):
            try:
                read_png(png(chunk(kind, name + separator + body)))
            except ValueError:
                continue

    def test_a_picture_of_the_web_ui_is_read(self) -> None:
        info = PngInfo()
        info.add_text("parameters", TestParse.FORGE + " 🦊")
        file = io.BytesIO()
        image().save(file, "PNG", pnginfo=info)
        assert read_png(file.getvalue()).parameters == TestParse.FORGE + " 🦊"
