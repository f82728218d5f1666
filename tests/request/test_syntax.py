"""The small syntaxes in a request: any input gives an answer or an InvalidRequest."""

import contextlib
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import AdapterUse
from bot.request.syntax import (
    TAG,
    AdapterAsk,
    at_ratio,
    extract_tags,
    parse_adapters,
    parse_size,
    with_named_weights,
)
from catalog.families.sdxl import SDXL

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
WEIGHTS = st.none() | st.floats(-5, 5).map(lambda weight: round(weight, 3))
ASKS = st.lists(st.builds(AdapterAsk, NAMES, WEIGHTS), max_size=5)
GIVEN = st.floats(-5, 5).map(lambda weight: round(weight, 3))
ANY_TEXT = st.text(max_size=80) | st.text(
    alphabet="<>loraycx:,.0123456789×/-+ \n\té²٣", max_size=60
)


def written(ask: AdapterAsk) -> str:
    return ask.name if ask.weight is None else f"{ask.name}:{ask.weight:f}".rstrip("0").rstrip(".")


def refusal_of(text: str) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        parse_adapters(text)
    return refused.value.field, refused.value.code


class TestAdapters:
    @given(asks=ASKS, glue=st.sampled_from([", ", ",", " , ", "\n", ",\n,"]))
    def test_a_list_is_read_back_as_it_was_written(self, asks: list[AdapterAsk], glue: str) -> None:
        read = parse_adapters(
            glue.join(map(written, asks)), {ask.name for ask in asks}.__contains__
        )
        assert [ask.name for ask in read] == [ask.name for ask in asks]
        for ask, wanted in zip(read, asks, strict=True):
            assert ask.weight == pytest.approx(wanted.weight)

    @given(asks=ASKS.filter(bool))
    def test_tags_mean_the_same_as_a_list(self, asks: list[AdapterAsk]) -> None:
        listed = ", ".join(map(written, asks))
        tagged = " ".join(f"<lora:{written(ask)}>" for ask in asks)
        assert parse_adapters(tagged) == parse_adapters(listed)
        assert extract_tags(f"a fox {tagged}") == ("a fox", parse_adapters(listed))

    @pytest.mark.parametrize(
        ("text", "asks"),
        [
            ("", ()),
            (" , ,\n", ()),
            (
                "anime-style:0.6, detail",
                (AdapterAsk("anime-style", 0.6), AdapterAsk("detail", None)),
            ),
            ("a: .5 ,b:+1., c:-2", (AdapterAsk("a", 0.5), AdapterAsk("b", 1), AdapterAsk("c", -2))),
            ("a:0.8:0.8", (AdapterAsk("a", 0.8),)),
            ("a:0,8", (AdapterAsk("a", 0.8),)),
            ("a:0,8:0,5, b:1,25", (AdapterAsk("a", 0.8, 0.5), AdapterAsk("b", 1.25))),
            ("a:0, b", (AdapterAsk("a", 0), AdapterAsk("b", None))),
            ("a:0,b", (AdapterAsk("a", 0), AdapterAsk("b", None))),
            ("a:1,3d-style", (AdapterAsk("a", 1), AdapterAsk("3d-style", None))),
            ("a:1.5,8", (AdapterAsk("a", 1.5), AdapterAsk("8", None))),
            ("<lora:a:0,8>", (AdapterAsk("a", 0.8),)),
            ("a:0.8:0.5, b", (AdapterAsk("a", 0.8, 0.5), AdapterAsk("b", None))),
            ("a:1:0", (AdapterAsk("a", 1.0, 0.0),)),
            ("<lora:a:te=0.5:unet=0.8>", (AdapterAsk("a", 0.8, 0.5),)),
            ("<lora:a:UNET = 0.8:TE = 0.5>", (AdapterAsk("a", 0.8, 0.5),)),
            ("<lora:a:0.8:te=0.5>", (AdapterAsk("a", 0.8, 0.5),)),
            ("a:te=0.5", (AdapterAsk("a", None, 0.5),)),
            ("a:unet=0.5", (AdapterAsk("a", 0.5),)),
            ("a, <lora:b:0.5>", (AdapterAsk("b", 0.5), AdapterAsk("a", None))),
            ("Anime Detailer:1", (AdapterAsk("Anime Detailer", 1.0),)),
            ("<lyco: A (v1.5) [XL] : -.5 >", (AdapterAsk("A (v1.5) [XL]", -0.5),)),
            ("<lora:sub/dir\\a, b:1>", (AdapterAsk("sub/dir\\a, b", 1.0),)),
        ],
    )
    def test_examples(self, text: str, asks: tuple[AdapterAsk, ...]) -> None:
        assert parse_adapters(text) == asks

    def test_digits_that_are_the_name_of_another_are_no_decimals(self) -> None:
        assert parse_adapters("a:0,8", {"8"}.__contains__) == (
            AdapterAsk("a", 0),
            AdapterAsk("8", None),
        )

    @pytest.mark.parametrize(
        ("text", "example"),
        [("a:0.8 b:0.5", "a:0.8, b:0.5"), ("a:1 b:2 c:0.5:1", "a:1, b:2, c:0.5:1")],
    )
    def test_a_list_without_commas_is_shown_with_them(self, text: str, example: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            parse_adapters(text)
        assert refused.value.params["example"] == example

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (":0.5", "lora.no_name"),
            ("<lora:>", "lora.no_name"),
            ("a:", "lora.bad_weight"),
            ("a:x", "lora.bad_weight"),
            ("a:nan", "lora.bad_weight"),
            ("a:0.8 b:0.5", "lora.no_comma"),
            ("a:0.8 b", "lora.no_comma"),
            ("a:inf", "lora.bad_weight"),
            ("a:1e3", "lora.bad_weight"),
            ("a:0,5:b", "lora.bad_weight"),
            ("a:0.5:x", "lora.bad_weight"),
            ("a:0.5:0.6:0.7", "lora.bad_weight"),
            ("a:0.5:0.5:0.5", "lora.bad_weight"),
            ("a:0.5:unet=0.6", "lora.bad_weight"),
            ("a:te=0.5:te=0.5", "lora.bad_weight"),
            ("a:te=", "lora.bad_weight"),
            ("a:te=x:unet=1", "lora.bad_weight"),
            ("<lora:a:1:dyn=4>", "lora.bad_weight"),
            ("<lora:a:0.8:lbw=XYZ>", "lora.bad_weight"),
            ("<lora:a:0.8:1:lbw=1,0,0.5:stop=12>", "lora.bad_weight"),
            ("<lora:a:0@0,1@0.5>", "lora.bad_weight"),
            ("<lora:a:=0.5>", "lora.bad_weight"),
            ("<lora:a:te=" + " " * 4_000 + "\n>", "lora.bad_weight"),
        ],
    )
    def test_refusals(self, text: str, code: str) -> None:
        assert refusal_of(text) == ("lora", code)

    @pytest.mark.parametrize(
        ("tag", "weights"),
        [
            ("<lora:a:0.4:1>", (1.0, 0.4)),
            ("<lyco:a : 0.4 : 1 >", (1.0, 0.4)),
            ("<lora:a:0.4>", (0.4, None)),
            ("<lora:a>", (None, None)),
            ("<lora:a:0.5:0.5>", (0.5, None)),
            ("<lora:a:te=0.4:unet=1>", (1.0, 0.4)),
            ("<lora:a:UNET=1:0.4>", (1.0, 0.4)),
            ("<lora:a:0.8:te=0.4>", (0.4, None)),
            ("<lora:a:te=0.4>", (0.4, None)),
            ("<lora:a:unet=0.4>", (0.4, 1.0)),
        ],
    )
    def test_the_web_ui_has_two_weights_in_the_other_order(
        self, tag: str, weights: tuple[float | None, float | None]
    ) -> None:
        prompt = with_named_weights(f"a fox {tag}, snow")
        assert extract_tags(prompt) == ("a fox , snow", (AdapterAsk("a", *weights),))
        assert with_named_weights(prompt) == prompt

    @pytest.mark.parametrize(
        "tag",
        [
            *("<lora:a:1:0.5:4>", "<lora:a:1:dyn=4>", "<lora:a:te=1:te=1>", "<lora:a:1:lbw=1,0>"),
            *("<lora:a:x:1>", "<lora:a:te=:unet=1>", "<lora::1:2>"),
        ],
    )
    def test_what_it_could_not_read_is_refused_as_ever(self, tag: str) -> None:
        with pytest.raises(InvalidRequest):
            extract_tags(with_named_weights(tag))

    @given(text=ANY_TEXT)
    def test_no_text_is_changed_but_in_tags(self, text: str) -> None:
        assert TAG.sub("", with_named_weights(text)) == TAG.sub("", text)

    @given(name=NAMES, unet=GIVEN, text=GIVEN, swapped=st.booleans())
    def test_two_weights_mean_the_same_in_order_and_by_name(
        self, name: str, unet: float, text: float, swapped: bool
    ) -> None:
        [ask] = parse_adapters(f"{name}:{unet:f}:{text:f}")
        assert ask == AdapterAsk(name, unet, None if unet == text else text)
        names = [f"unet={unet:f}", f"te={text:f}"]
        by_name = ":".join(reversed(names) if swapped else names)
        assert extract_tags(f"<lora:{name}:{by_name}>") == ("", (ask,))
        assert parse_adapters(str(AdapterUse(name, unet, text))) == (ask,)

    @given(text=ANY_TEXT)
    @example("<lora:" * 50)
    @example("a:" + "9" * 400)
    @example("a:٣")
    def test_nothing_but_invalid_request_is_raised(self, text: str) -> None:
        for read in (parse_adapters, extract_tags):
            with contextlib.suppress(InvalidRequest):
                read(text)


TAG_PIECES = ["<lora:ink:1>", "<lora:", "<lyco:", "ink", ":", "0.5", ">", "<", " ", ",", "\n"]


class TestTags:
    @pytest.mark.parametrize(
        ("typed", "left"),
        [
            ("a fox", "a fox"),
            ("a fox, <lora:ink:0.8>, snow", "a fox, snow"),
            ("<lora:ink> a fox", "a fox"),
            ("a fox <LoRA:Ink:1>", "a fox"),
            ("a fox <lyco:ink:1>", "a fox"),
            ("a <lora:ink>fox", "a fox"),
            ("a f<lora:ink>ox", "a fox"),
            ("<lora:ink>", ""),
            ("one\ntwo <lora:ink>", "one\ntwo"),
            ("a < b > c", "a < b > c"),
            ("<hypernet:x:1>", "<hypernet:x:1>"),
        ],
    )
    def test_a_prompt_without_its_tags(self, typed: str, left: str) -> None:
        assert extract_tags(typed)[0] == left

    @given(text=st.text(max_size=80).filter(lambda text: "<lo" not in text.lower()))
    def test_a_prompt_without_tags_is_left_as_it_is(self, text: str) -> None:
        if "<ly" not in text.lower():
            assert extract_tags(text) == (text.strip(), ())

    @pytest.mark.parametrize(
        ("typed", "named"),
        [
            ("a fox <lora:ink:0.8", "<lora:ink:0.8"),
            ("<LYCO:ink:0.8, a fox", "<LYCO:ink:0.8"),
            ("<lora:ink 0.8\na fox", "<lora:ink 0.8"),
            ("< lora : ink >", "< lora : ink"),
            ("<lora:<lora:ink:1>", "<lora:"),
            ("<lora:a<b>c>", "<lora:a"),
            ("<lora:ink> and <lora:oil", "<lora:oil"),
        ],
    )
    def test_half_a_tag_is_named(self, typed: str, named: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            extract_tags(typed)
        assert (refused.value.code, refused.value.params["value"]) == ("lora.half_tag", named)

    @given(
        st.lists(
            st.sampled_from(
                ["<lora:ink:1>", "<lora:", "<lyco:", "ink", ":", "0.5", ">", "<", " ", ","]
            )
        ).map("".join)
    )
    def test_no_tag_is_left_in_a_prompt(self, typed: str) -> None:
        try:
            left, _ = extract_tags(typed)
        except InvalidRequest:
            return
        assert "<lora:" not in left
        assert "<lyco:" not in left


class TestSizes:
    @given(width=st.integers(0, 99_999), height=st.integers(0, 99_999), by=st.sampled_from("xX×*"))
    def test_dimensions_are_read_as_they_are(self, width: int, height: int, by: str) -> None:
        for text in (f"{width}{by}{height}", f" {width} {by}  {height} "):
            assert parse_size(text, (1024, 1024), SDXL) == (width, height)

    @given(
        across=st.integers(1, 999),
        down=st.integers(1, 999),
        native=st.sampled_from([(1024, 1024), (512, 768), (64, 64), (1536, 1024), (128, 96)]),
    )
    def test_a_ratio_keeps_the_shape_and_the_pixel_count(
        self, across: int, down: int, native: tuple[int, int]
    ) -> None:
        for by in ":/":
            width, height = parse_size(f"{across}{by}{down}", native, SDXL)
            assert width > 0
            assert height > 0
            assert width % SDXL.pixel_step == height % SDXL.pixel_step == 0
            if 1 / 2 <= across / down <= 2:
                step = 64 if min(native) >= 512 else 8
                assert abs(math.sqrt(native[0] * native[1] * across / down) - width) <= step / 2
                assert abs(math.sqrt(native[0] * native[1] * down / across) - height) <= step / 2
            assert at_ratio(down, across, native, SDXL) == (height, width)

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("1:1", (1024, 1024)),
            ("16:9", (1344, 768)),
            ("9:16", (768, 1344)),
            ("3:2", (1280, 832)),
            ("2:3", (832, 1280)),
            ("4 / 3", (1152, 896)),
            ("21:9", (1536, 640)),
        ],
    )
    def test_the_sizes_that_sdxl_was_trained_with(self, text: str, size: tuple[int, int]) -> None:
        assert parse_size(text, (1024, 1024), SDXL) == size

    @pytest.mark.parametrize(
        "text", ["", "big", "1024", "1024x", "x1024", "1:0", "0:1", "1024x1024x3", "-8x8", "1e3x8"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            parse_size(text, (1024, 1024), SDXL)
        assert (refused.value.field, refused.value.code) == ("size", "size.form")

    @given(text=ANY_TEXT)
    @example("²x²")
    @example("٣x٣")
    def test_nothing_but_invalid_request_is_raised(self, text: str) -> None:
        with contextlib.suppress(InvalidRequest):
            width, height = parse_size(text, (1024, 1024), SDXL)
            assert width >= 0
            assert height >= 0
