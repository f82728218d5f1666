"""Images in a request: sizes that follow them, strengths, the second pass, and the limits."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.request import (
    Draft,
    GenerationRequest,
    Hires,
    InitImage,
    Picture,
    Reference,
    check_offered,
    compose,
)
from catalog import Catalog, ModelEntry, ReferenceEntry

SHA = "0123456789abcdef" * 4
GUIDE = "fedcba9876543210" * 4
MODELS = {
    "base": ModelEntry(key="base", name="Base", path="org/base"),
    "small": ModelEntry(
        key="small",
        name="Small",
        path="org/small",
        size=(256, 256),
        min_side=64,
        max_side=512,
        max_pixels=256 * 256,
    ),
    "wide": ModelEntry(
        key="wide", name="Wide", path="org/wide", max_side=4096, max_pixels=4096 * 1024
    ),
}
REFERENCE = ReferenceEntry(path="org/ip", weight_name="ip.safetensors", encoder="encoder")
CATALOG = Catalog(MODELS, {}, "base", references={"sdxl": REFERENCE})
WITHOUT = Catalog(MODELS, {}, "base")


def composed(catalog: Catalog = CATALOG, **fields: Any) -> GenerationRequest:
    return compose(Draft(**{"prompt": "a fox", **fields}), catalog, nsfw=False)


def refused(
    kind: type[UserError] = InvalidRequest, catalog: Catalog = CATALOG, **fields: Any
) -> tuple[str, dict[str, Any]]:
    with pytest.raises(kind) as error:
        composed(catalog, **fields)
    return error.value.code, error.value.params


class TestInitImage:
    def test_its_strength(self) -> None:
        picture = Picture(SHA, 1000, 1000)
        assert composed(image=picture).init_image == InitImage(SHA, 0.6)
        for strength in (0.05, 0.5, 1.0):
            assert composed(image=picture, strength=strength).init_image == InitImage(SHA, strength)
        for strength in (0.04, 1.01, math.nan, -1):
            code, params = refused(image=picture, strength=strength)
            assert (code, params["min"], params["max"]) == ("number.range", 0.05, 1.0)

    def test_a_strength_without_a_picture(self) -> None:
        assert composed().init_image is None
        assert refused(strength=0.5) == (
            "picture.without",
            {"field": "strength", "value": 0.5, "needed": "image"},
        )

    @pytest.mark.parametrize(
        ("across", "down", "size"),
        [
            (1000, 1000, (1024, 1024)),
            (4000, 3000, (1152, 896)),
            (3000, 4000, (896, 1152)),
            (1920, 1080, (1344, 768)),
            (10, 4000, (512, 1536)),
            (16_000_000, 1, (1536, 512)),
        ],
    )
    def test_the_size_follows_its_shape(
        self, across: int, down: int, size: tuple[int, int]
    ) -> None:
        request = composed(image=Picture(SHA, across, down))
        assert (request.width, request.height) == size

    def test_a_size_that_is_given_counts(self) -> None:
        request = composed(image=Picture(SHA, 4000, 3000), size="512x1024")
        assert (request.width, request.height) == (512, 1024)

    @given(st.sampled_from([*MODELS]), st.integers(1, 20_000), st.integers(1, 20_000))
    def test_whatever_its_shape_the_model_can_paint_it(
        self, key: str, across: int, down: int
    ) -> None:
        request = composed(model=key, image=Picture(SHA, across, down))
        again = composed(model=key, size=f"{request.width}x{request.height}")
        assert (again.width, again.height) == (request.width, request.height)
        assert (request.width >= request.height) == (across >= down) or abs(
            request.width - request.height
        ) <= 64


class TestReference:
    def test_its_weight(self) -> None:
        picture = Picture(GUIDE, 10, 10)
        assert composed(reference=picture).reference == Reference(GUIDE, 0.6)
        for weight in (0.0, 1.0, 1.5):
            request = composed(reference=picture, reference_weight=weight)
            assert request.reference == Reference(GUIDE, weight)
        for weight in (-0.1, 1.6, math.nan):
            code, params = refused(reference=picture, reference_weight=weight)
            assert (code, params["field"]) == ("number.range", "reference_weight")

    def test_it_does_not_change_the_size(self) -> None:
        request = composed(reference=Picture(GUIDE, 10, 4000))
        assert (request.width, request.height) == (1024, 1024)

    def test_a_weight_without_a_picture(self) -> None:
        assert refused(reference_weight=1.0) == (
            "picture.without",
            {"field": "reference_weight", "value": 1.0, "needed": "reference"},
        )

    def test_a_catalog_without_one_refuses_it(self) -> None:
        picture = Picture(GUIDE, 10, 10)
        assert refused(Refused, WITHOUT, reference=picture) == (
            "reference.none",
            {"family": "Stable Diffusion XL", "key": "sdxl"},
        )
        earlier = composed(reference=picture)
        check_offered(earlier, CATALOG, nsfw=False)
        with pytest.raises(Refused) as error:
            check_offered(earlier, WITHOUT, nsfw=False)
        assert error.value.code == "reference.none"

    def test_both_pictures_at_once(self) -> None:
        request = composed(image=Picture(SHA, 9, 9), reference=Picture(GUIDE, 9, 9))
        assert request.inputs == (SHA, GUIDE)


class TestHires:
    @pytest.mark.parametrize("scale", [1.25, 1.5, 2.0])
    def test_the_second_pass_has_the_steps_of_the_first(self, scale: float) -> None:
        request = composed(hires=scale, steps=20)
        assert request.hires == Hires(scale, 0.4, 20)
        assert request.hires.taken == 8
        assert request.final_size == (int(1024 * scale), int(1024 * scale))
        assert (request.width, request.height) == (1024, 1024)

    def test_one_step_is_taken_at_least(self) -> None:
        assert Hires(2.0, 0.4, 1).taken == 1
        assert composed(preset="draft", hires=1.5).hires == Hires(1.5, 0.4, 10)

    @pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, math.nan, math.inf])
    def test_other_scales_are_refused(self, scale: float) -> None:
        code, params = refused(hires=scale)
        assert (code, params["scales"]) == ("hires.scale", ("1.25", "1.5", "2"))

    @pytest.mark.parametrize("size", ["1024x1024", "832x1216", "1344x768", "640x1536"])
    def test_twice_the_usual_sizes_is_possible(self, size: str) -> None:
        assert composed(hires=2.0, size=size).hires

    def test_its_own_bounds(self) -> None:
        assert refused(hires=2.0, size="1280x1024") == (
            "hires.size",
            {
                "field": "hires",
                "value": "2",
                "width": 2560,
                "height": 2048,
                "megapixels": 2048 * 2048 / 1e6,
                "side": 3072,
            },
        )
        assert composed(hires=1.5, size="1280x1024").hires
        assert composed(model="wide", size="2048x512", hires=1.5).final_size == (3072, 768)
        assert refused(model="wide", size="2056x512", hires=1.5)[0] == "hires.size"


class TestASecondPassAsAskedFor:
    @given(st.floats(0.05, 1.0), st.integers(1, 100))
    def test_takes_exactly_so_many_steps(self, strength: float, taken: int) -> None:
        most = min(100, int(900 * strength))
        if taken > most:
            with pytest.raises(InvalidRequest) as caught:
                composed(hires=1.5, hires_strength=strength, hires_steps=taken)
            assert (caught.value.field, caught.value.params["max"]) == ("hires_steps", most)
            return
        hires = composed(hires=1.5, hires_strength=strength, hires_steps=taken).hires
        assert hires is not None
        assert (hires.strength, hires.taken) == (strength, taken)
        assert hires.steps <= 900 + 1 / strength

    def test_without_steps_the_schedule_is_the_first_passs(self) -> None:
        assert composed(hires=2.0, hires_strength=0.7, steps=20).hires == Hires(2.0, 0.7, 20)

    @pytest.mark.parametrize("field", ["hires_strength", "hires_steps"])
    def test_needs_one(self, field: str) -> None:
        given: dict[str, Any] = {field: 1}
        with pytest.raises(InvalidRequest, match=r"hires\.without"):
            composed(**given)
