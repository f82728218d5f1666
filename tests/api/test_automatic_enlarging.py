"""Which upscaler a client of AUTOMATIC1111 means, and how much it enlarges."""

from typing import Any

import pytest

from bot.api.automatic.bodies import Extras
from bot.api.automatic.enlarging import _scale, all_upscalers, network_of
from bot.api.automatic.resampling import UPSCALERS, fitted
from bot.errors import InvalidRequest
from catalog import Catalog, ModelEntry, UpscalerEntry
from catalog.upscalers import Upscalers
from catalog.weight_files import UpscalerFacts
from tests.api.test_automatic_resampling import opened, png
from tests.language import TEXTS

SHARP = UpscalerEntry(key="sharp", name="Sharp ×4", path="a/b")
ADULT = UpscalerEntry(key="adult", name="Adult", path="a/b", nsfw=True)
CATALOG = Catalog(
    {"demo": ModelEntry(key="demo", name="Demo", path="a/b")},
    {},
    "demo",
    upscalers=Upscalers({"sharp": SHARP, "adult": ADULT}, {"sharp": UpscalerFacts("ESRGAN", 4)}),
)


def network(**fields: Any) -> UpscalerEntry | None:
    return network_of(Extras(**fields), CATALOG, nsfw=False)


def test_all_are_listed() -> None:
    *plain, sharp = all_upscalers(CATALOG, nsfw=False)
    assert [each["name"] for each in plain] == [*UPSCALERS]
    assert (sharp["name"], sharp["model_name"], sharp["scale"]) == ("Sharp ×4", "sharp", 4)
    assert len(all_upscalers(CATALOG, nsfw=True)) == len(plain) + 2


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, None),
        ({"upscaler_1": "Lanczos"}, None),
        ({"upscaler_1": "sharp ×4"}, SHARP),
        ({"upscaler_1": "sharp", "upscaler_2": "Lanczos"}, SHARP),
        ({"upscaler_1": "Lanczos", "upscaler_2": "sharp"}, None),
        ({"upscaler_2": "sharp", "extras_upscaler_2_visibility": 1}, None),  # as it was, as there
        ({"upscaler_1": "None", "upscaler_2": "builtin"}, None),
    ],
)
def test_a_network_is_named(fields: dict[str, Any], found: UpscalerEntry | None) -> None:
    assert network(**fields) is found


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"upscaler_1": "R-ESRGAN 4x+"}, "api.automatic.upscaler"),
        ({"upscaler_1": "adult"}, "api.automatic.upscaler"),
        ({"upscaler_1": "sharp", "upscaler_2": "LDSR"}, "api.automatic.upscaler"),
        (
            {
                "upscaler_1": "sharp",
                "upscaler_2": "Lanczos",
                "extras_upscaler_2_visibility": 0.1,
            },
            "api.automatic.blended",
        ),
        (
            {"upscaler_1": "Lanczos", "upscaler_2": "sharp", "extras_upscaler_2_visibility": 1},
            "api.automatic.blended",
        ),
    ],
)
def test_what_there_is_not_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        network(**fields)
    assert caught.value.code == code
    assert "Adult" not in str(caught.value.params)


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({}, 2),
        ({"upscaling_resize": 1}, 1.5),
        ({"upscaling_resize": 2.5}, 3),
        ({"upscaling_resize": 4}, 4),
        ({"resize_mode": 1, "upscaling_resize_w": 60, "upscaling_resize_h": 50}, 3),
    ],
)
def test_it_enlarges_as_much_as_is_needed(fields: dict[str, Any], scale: float) -> None:
    asked = Extras(**fields)
    wanted = (asked.upscaling_resize_w, asked.upscaling_resize_h)
    assert _scale((30, 20), wanted, asked) == scale


@pytest.mark.parametrize(
    ("side", "asked", "scale"), [(1500, 2.1, 2), (2400, 1.6, 1.5), (2000, 4, 2), (2666, 1, 1.5)]
)
def test_but_no_larger_than_there_may_be(side: int, asked: float, scale: float) -> None:
    extras = Extras(upscaling_resize=asked)
    assert _scale((side, side), (0, 0), extras) == scale


@pytest.mark.parametrize("asked", [1, 1.5, 4])
def test_what_cannot_be_enlarged_at_all_is_refused_with_what_can_be_done(asked: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _scale((3900, 2000), (0, 0), Extras(upscaling_resize=asked))
    error = caught.value
    assert (error.field, error.code) == ("image", "api.automatic.enlarged")
    said = TEXTS.speaker()(error.code, **error.params)
    assert "3900×2000" in said
    assert "even 1.5 times that is more than 16 megapixels" in said


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"upscaling_resize": 0.5}, "upscaling_resize"),
        ({"upscaling_resize": 4.1}, "upscaling_resize"),
        ({"resize_mode": 1}, "upscaling_resize_w, upscaling_resize_h"),
    ],
)
def test_but_neither_less_nor_more_than_it_can(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _scale((30, 20), (512, 512), Extras(**fields))
    assert (caught.value.code, caught.value.params["field"]) == ("number.range", field)


def test_what_comes_out_has_the_size_that_was_asked_for() -> None:
    made = png(60, 40)
    assert fitted(made, (60, 40), None) is made
    assert opened(fitted(made, (56, 40), None)).size == (56, 40)
    assert opened(fitted(made, (60, 40), (10, 0, 50, 40))).size == (40, 40)
