"""↔️ and 🖌️: where they are offered, what their selects offer, and ids of any age."""

from typing import Any

import discord
import pytest

from bot.chat.ui.actions import (
    DescribeId,
    DetailId,
    ExtendId,
    PartId,
    more_view,
    rows_of_every,
    rows_of_more,
)
from bot.chat.ui.choices import extend_choices
from bot.chat.ui.custom_id import Routed
from bot.chat.ui.extending import extensions_view
from bot.chat.ui.forms.repaint_part import part_form
from bot.chat.ui.picking import ways_view
from bot.chat.ui.repainting import PartFormId, PartSquaresId, images_view, squares_view
from bot.files.grid import SQUARES
from bot.request import CRISP, Axis, Box, Comparison, InitImage, Upscale
from bot.request.extending import parse_extent
from tests.chat.ui.test_messages import job
from tests.language import TEXTS
from tests.store.factories import record, request

SAY = TEXTS.speaker()
LANGUAGES = pytest.mark.parametrize("language", TEXTS.languages)


def select_in(view: discord.ui.View) -> discord.ui.Select[Any]:
    [routed] = view.children
    assert isinstance(routed, Routed)
    assert isinstance(routed.item, discord.ui.Select)
    return routed.item


def test_ids_of_any_age_are_read() -> None:
    form = PartFormId.parse("partform:abc234:3:00cc")
    assert form.squares == ("C1", "D1", "C2", "D2")
    assert PartFormId.of("abc234", 3, ["D2", "C1", "C2", "D1", "C1"]) == form
    assert PartFormId.of("abc234", 0, SQUARES) == PartFormId("abc234", 0, "ffff")
    assert PartFormId.of("abc234", 0, ["A1"]).squares == ("A1",)
    assert PartSquaresId.parse("partsquares:abc234:3") == PartSquaresId("abc234", 3)


@pytest.mark.parametrize("bits", ["", "0", "0000", "-1", "10000", "g", "f" * 80])
def test_bits_of_no_field_say_so(bits: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        _ = PartFormId("abc234", 0, bits).squares


@pytest.mark.parametrize("squares", [[], ["E1"], ["A1", "a1"]])
def test_squares_that_are_none_have_no_id(squares: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        PartFormId.of("abc234", 0, squares)


@LANGUAGES
def test_every_way_of_four_images_is_offered(language: str) -> None:
    say = TEXTS.speaker(language)
    select = select_in(extensions_view(say, "abc234", [record(n) for n in range(4)]))
    assert len(select.options) == 24
    assert select.options[7].value == "1 zoom 2"
    labels = [option.label for option in select.options]
    assert len({*labels}) == 24
    assert max(map(len, labels)) <= 100


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        ((1024, 1024), ["16:9", "9:16"]),
        ((1344, 768), ["1:1"]),
        ((768, 1024), ["16:9", "9:16", "1:1"]),
    ],
)
def test_a_single_image_can_have_the_shapes_that_it_has_not(
    size: tuple[int, int], shapes: list[str]
) -> None:
    image = record(width=size[0], height=size[1])
    values = [each.value for each in select_in(extensions_view(SAY, "abc234", [image])).options]
    assert values[:6] == ["0 zoom 1.5", "0 zoom 2", "0 left", "0 right", "0 up", "0 down"]
    assert values[6:] == [f"0 {shape}" for shape in shapes]


@LANGUAGES
def test_what_is_suggested_can_be_typed(language: str) -> None:
    choices = extend_choices("", TEXTS.speaker(language))
    assert len(choices) == 10
    for choice in choices:
        assert parse_extent(choice.value, 768, 1024)
        assert choice.value in choice.name
    assert [each.value for each in extend_choices("zoom 1", SAY)] == ["zoom 1.5"]
    assert extend_choices("up 20%, down", SAY) == []


def test_all_squares_may_be_chosen() -> None:
    select = select_in(squares_view(SAY, "abc234", 1))
    assert (select.custom_id, select.min_values, select.max_values) == (
        "partsquares:abc234:1",
        1,
        16,
    )
    assert [option.value for option in select.options] == [*SQUARES]
    images = select_in(images_view(SAY, "abc234", [0, 2]))
    assert [(each.label, each.value) for each in images.options] == [
        ("Image 1", "0"),
        ("Image 3", "2"),
    ]


@LANGUAGES
def test_the_form_fits_with_any_squares(language: str) -> None:
    form = part_form(
        TEXTS.speaker(language), PartFormId.of("a" * 10, 0, SQUARES), {}, ", ".join(SQUARES)
    ).to_dict()
    assert len(form["title"]) <= 45
    for label in form["components"]:
        assert len(label["label"]) <= 45
        assert len(label["description"]) <= 100


SHEET = request(comparison=Comparison((Axis("steps", ("1", "2")),), (request(), request(steps=2))))
LARGE = request(upscale=Upscale("a" * 64, "sharp", 2.0, CRISP))


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("words", [False, True])
def test_they_stand_behind_more_where_the_model_starts_from_images(
    hidden: bool, words: bool
) -> None:
    for rows_of in (rows_of_more, rows_of_every):
        for asked in (request(), SHEET, LARGE):
            for repainting in (True, False):
                rows = rows_of(
                    asked,
                    hidden=hidden,
                    words=words,
                    repainting=repainting,
                    detailing=repainting,
                    describing=repainting,
                )
                kinds = [kind for row in rows for kind in row]
                assert len(kinds) == len({*kinds})
                offered = {ExtendId, PartId, DetailId} & {*kinds}
                assert len(offered) == (3 if asked == request() and repainting else 0)
                assert (DescribeId in kinds) == (asked != SHEET and repainting)
                lines = more_view(SAY, "abc234", rows).to_components()
                assert all(len(line["components"]) <= 5 for line in lines)
    usual = rows_of_more(
        request(),
        hidden=hidden,
        words=words,
        repainting=True,
        detailing=False,
        describing=False,
    )
    assert DetailId not in {kind for row in usual for kind in row}
    usual = rows_of_more(
        request(),
        hidden=hidden,
        words=False,
        repainting=True,
        detailing=True,
        describing=False,
    )
    assert len(more_view(SAY, "abc234", usual).to_components()) == 2


def test_what_kept_a_part_is_offered_no_second_pass() -> None:
    init = InitImage("a" * 64, 1.0, box=Box(0, 0, 32, 48))
    for asked, offered in ((request(), True), (request(init_image=init), False)):
        view = ways_view(SAY, job(asked), [record()])
        assert view is not None
        values = [option.value for option in select_in(view).options]
        assert ("0 hires 1.5" in values) is offered
