"""A PNG's metadata: written, read back, and read from any source."""

import io
import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot import __version__
from bot.files.metadata import TEXT_MAX, infotext, read_png
from bot.recipe import Recipe, Weights
from bot.request import (
    AYS,
    CRISP,
    REPAINT,
    SEED_MAX,
    AdapterUse,
    ControlUse,
    Hires,
    InitImage,
    Mix,
    Reference,
    Upscale,
    Variation,
)
from bot.request.dialects.infotext import parse_infotext
from bot.request.parts import Box
from tests.files.pngs import encode_png
from tests.files.recipes import FORGE, NASTY, RECIPE, REQUEST, image, with_request
from tests.parameters import examples


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


class TestPng:
    def test_a_text_encoder_of_its_own_comes_back(self) -> None:
        encoder = Weights("qwen_3_4b.safetensors", "e" * 64, "e" * 10)
        recipe = replace(RECIPE, text_encoder=encoder)
        assert read_png(encode_png(image(), recipe, 1)).recipe == recipe

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
            init_image=InitImage("a" * 64, 0.6, "c" * 64, Box(256, 0, 768, 768)),
            reference=Reference("b" * 64, 0.8),
            variation=Variation(7, 0.25, (Mix(12, 0.1),)),
            controls=(ControlUse("depth", "d" * 64, "depth", 0.8, 0.1, 0.6),),
            tile=True,
        )
        weights = Weights("depth", "e" * 64, "e" * 10)
        recipe = replace(recipe, controls=(weights,), depth=weights)
        assert read_png(encode_png(image(), recipe, 43)).recipe == recipe

    @pytest.mark.parametrize("numbers", [(float("inf"), 0, 1), (1, float("nan"), 1)])
    def test_no_number_of_a_controlnet_is_none(self, numbers: tuple[float, float, float]) -> None:
        recipe = with_request(controls=(ControlUse("depth", "d" * 64, "depth", *numbers),))
        with pytest.raises(ValueError, match=r"out of range|not a recipe"):
            read_png(encode_png(image(), recipe, 43))

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

    @settings(max_examples=examples(100))
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
            *(
                {
                    "recipe": RECIPE.to_dict()
                    | {"request": REQUEST.to_dict() | {"variation": variation}}
                }
                for variation in (
                    {"seed": -1, "strength": 0.5, "before": []},
                    {"seed": 1, "strength": 1e999, "before": []},
                    {"seed": 1, "strength": 0.5, "before": [{"seed": 2**32, "strength": 0.5}]},
                    {"seed": 1, "strength": 0.5, "before": [{"seed": 1}]},
                )
            ),
            *(
                {
                    "recipe": RECIPE.to_dict()
                    | {
                        "request": REQUEST.to_dict()
                        | {"init_image": {"sha256": "a" * 64, "strength": 1.0, "box": box}}
                    }
                }
                for box in (
                    {"left": 0, "top": 0, "width": 0, "height": 768},
                    {"left": -1, "top": 0, "width": 512, "height": 768},
                    {"left": 513, "top": 0, "width": 512, "height": 768},
                    {"left": 0, "top": 0, "width": 512.5, "height": 768},
                    {"left": 0, "top": 0, "width": 512},
                )
            ),
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

    @settings(max_examples=examples(100))
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

    @settings(max_examples=examples(100))
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
        info.add_text("parameters", FORGE + " 🦊")
        file = io.BytesIO()
        image().save(file, "PNG", pnginfo=info)
        assert read_png(file.getvalue()).parameters == FORGE + " 🦊"
