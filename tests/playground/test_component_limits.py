"""What Discord refuses in Components V2 and in forms, and what the user's client refuses to send.

The good ones are also held against Discord's own OpenAPI description.
"""

from typing import Any

import pytest

from playground import forms, limits, limits_forms, openapi
from playground.errors import ClientRefused
from tests.playground.test_limits import V2, Json, button, menu, row, text

FOX = "attachment://fox.png"
RADIO, CHECKBOXES = 21, 22


def v2(*components: Json, **more: Any) -> Json:
    return {"flags": V2, "components": list(components)} | more


def box(*inside: Json, **more: Any) -> Json:
    return {"type": 17, "components": list(inside)} | more


def section(*texts: Json, accessory: Json | None = None) -> Json:
    return {"type": 9, "components": list(texts), "accessory": accessory or button()}


def picture(url: str = FOX, **more: Any) -> Json:
    return {"media": {"url": url}} | more


def gallery(*items: Json) -> Json:
    return {"type": 12, "items": list(items)}


def thumbnail(**more: Any) -> Json:
    return {"type": 11, "media": {"url": FOX}} | more


def file(url: str = FOX) -> Json:
    return {"type": 13, "file": {"url": url}}


def users(kind: int = 5, **more: Any) -> Json:
    return {"type": kind, "custom_id": f"s{kind}"} | more


GOOD: list[Json] = [
    v2(box(text(), gallery(*[picture()] * 10), accent_color=0xFFFFFF, spoiler=True)),
    v2(box(section(text(), text(), text()), {"type": 14, "spacing": 2, "divider": False})),
    v2(section(text(), accessory=thumbnail(description="x" * 1024, spoiler=True))),
    v2(file(), row(menu()), row(*(button(str(n)) for n in range(5)))),
    v2(*(row(users(kind)) for kind in (5, 6, 7)), row(users(8, channel_types=[0, 11]))),
    v2(row(users(default_values=[{"id": "1", "type": "user"}]))),
    v2(text("x" * 2000), box(text("x" * 2000))),
    v2(gallery(picture("https://example.com/a.png", description="A fox"))),
    v2(row({"type": 2, "style": 5, "label": "x", "url": "https://example.com"})),
    v2(row({"type": 2, "style": 6, "sku_id": "1"})),
    v2(box(*[text()] * 39)),
]

BAD: list[tuple[Json, str]] = [
    # Where a component may be.
    (v2(button()), "components.0 UNION_TYPE_CHOICES"),
    (v2(menu()), "components.0 UNION_TYPE_CHOICES"),
    (v2(thumbnail()), "components.0 UNION_TYPE_CHOICES"),
    (v2(box(box(text()))), "components.0.components.0 UNION_TYPE_CHOICES"),
    (v2(box(button())), "components.0.components.0 UNION_TYPE_CHOICES"),
    (v2(row(text())), "components.0.components.0 UNION_TYPE_CHOICES"),
    (v2(row({"type": 4, "custom_id": "p", "style": 1})), "UNION_TYPE_CHOICES"),
    (v2({"type": 18, "label": "L", "component": menu()}), "UNION_TYPE_CHOICES"),
    (v2(section(button())), "components.0.components.0 UNION_TYPE_CHOICES"),
    (v2(section(text(), accessory=menu())), "components.0.accessory UNION_TYPE_CHOICES"),
    (v2({"type": 99}), "components.0 UNION_TYPE_CHOICES"),
    ({"components": [box(text())]}, "components.0 UNION_TYPE_CHOICES"),
    # How many.
    (v2(box()), "components.0.components BASE_TYPE_BAD_LENGTH"),
    (v2({"type": 17}), "components.0.components BASE_TYPE_REQUIRED"),
    (v2(section(*[text()] * 4)), "components.0.components BASE_TYPE_BAD_LENGTH"),
    (v2({"type": 9, "components": [text()]}), "components.0.accessory BASE_TYPE_REQUIRED"),
    (v2(gallery()), "components.0.items BASE_TYPE_BAD_LENGTH"),
    (v2(gallery(*[picture()] * 11)), "components.0.items BASE_TYPE_BAD_LENGTH"),
    (v2(*[text()] * 41), "components COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"),
    (v2(box(*[text()] * 40)), "components COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"),
    (
        v2(*(section(text(), accessory=button(str(n))) for n in range(14))),
        "components COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
    ),
    (v2(text("x" * 2001), box(text("x" * 2000))), "components COMPONENT_MAX_TEXT_SIZE_EXCEEDED"),
    # Their fields.
    (v2(text("")), "components.0.content BASE_TYPE_BAD_LENGTH"),
    (v2({"type": 10}), "components.0.content BASE_TYPE_REQUIRED"),
    (v2(text(), box(text(), accent_color=0x1000000)), "accent_color NUMBER_TYPE_MAX"),
    (v2(box(text(), accent_color=-1)), "accent_color NUMBER_TYPE_MIN"),
    (v2({"type": 14, "spacing": 3}), "components.0.spacing BASE_TYPE_CHOICES"),
    (v2(gallery(picture(description="x" * 1025))), "items.0.description BASE_TYPE_BAD_LENGTH"),
    (v2(gallery(picture(description=""))), "items.0.description BASE_TYPE_BAD_LENGTH"),
    (v2(gallery(picture(), {"media": {}})), "items.1.media.url BASE_TYPE_REQUIRED"),
    (v2(section(text(), accessory=thumbnail(description="x" * 1025))), "BASE_TYPE_BAD_LENGTH"),
    (v2(row(button(), button("b", style=7))), "components.1.style BASE_TYPE_CHOICES"),
    (v2(section(text(), accessory=button(label="x" * 81))), "accessory.label BASE_TYPE_MAX"),
    (v2(row({"type": 2, "style": 6})), "sku_id BASE_TYPE_REQUIRED"),
    (v2(row({"type": 2, "style": 6, "sku_id": "1", "label": "x"})), "label BASE_TYPE_BAD_VALUE"),
    (
        v2(row({"type": 2, "style": 5, "label": "x", "url": "ftp://x"})),
        "url URL_TYPE_INVALID_SCHEME",
    ),
    (
        v2(row({"type": 2, "style": 5, "label": "x", "url": "http://" + "x" * 506})),
        "url BASE_TYPE_MAX_LENGTH",
    ),
    (v2(row(menu(placeholder="x" * 151))), "placeholder BASE_TYPE_MAX_LENGTH"),
    (v2(row(menu(options=[{"label": "a"}]))), "options.0.value BASE_TYPE_REQUIRED"),
    (
        v2(row(menu(options=[{"label": "a", "value": "a", "description": "x" * 101}]))),
        "options.0.description BASE_TYPE_MAX_LENGTH",
    ),
    (v2(row(users(max_values=26))), "max_values NUMBER_TYPE_MAX"),
    (v2(row(users(min_values=-1))), "min_values NUMBER_TYPE_MIN"),
    (v2(row({"type": 5})), "custom_id BASE_TYPE_REQUIRED"),
    (v2(row(users(default_values=[{"id": "1", "type": "role"}]))), "type BASE_TYPE_CHOICES"),
    (
        v2(row(users(default_values=[{"id": str(n), "type": "user"} for n in range(2)]))),
        "default_values BASE_TYPE_BAD_LENGTH",
    ),
    (
        v2(section(text(), accessory=button("a")), box(row(button("a")))),
        "custom_id COMPONENT_CUSTOM_ID_DUPLICATED",
    ),
    # Files.
    (v2(gallery(picture(), picture("attachment://owl.png"))), "items.1.media.url UNFURLED_MEDIA"),
    (v2(file("attachment://owl.png")), "file.url UNFURLED_MEDIA_ITEM_REFERENCED"),
    (v2(file("https://example.com/a.txt")), "file.url URL_TYPE_INVALID_SCHEME"),
    (v2(gallery(picture("http://" + "x" * 2042))), "media.url BASE_TYPE_MAX_LENGTH"),
    (v2(gallery(picture("fox.png"))), "media.url URL_TYPE_INVALID_URL"),
    (v2(gallery(picture("ftp://example.com/a"))), "media.url URL_TYPE_INVALID_SCHEME"),
    # Beside the components.
    (v2(text(), content="x"), "content MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    (v2(text(), embeds=[{"title": "x"}]), "embeds MESSAGE_CANNOT_USE_LEGACY_FIELDS"),
    (v2(text(), poll={"question": {}}), "poll MESSAGE_CANNOT_USE_LEGACY_FIELDS"),
    (v2(text(), sticker_ids=["1"]), "sticker_ids MESSAGE_CANNOT_USE_LEGACY_FIELDS"),
    # What Discord accepts, but no good client sends.
    (v2(text(), box(text(), accent_colour=1)), "accent_colour PLAYGROUND_UNKNOWN_KEY"),
    (v2(gallery(picture(alt="x"))), "items.0.alt PLAYGROUND_UNKNOWN_KEY"),
]


def told(problems: list[Any]) -> list[str]:
    return [f"{'.'.join(str(step) for step in p.path)} {p.code}" for p in problems]


@pytest.mark.parametrize("body", GOOD, ids=lambda value: str(value)[32:92])
def test_good_layouts(body: Json) -> None:
    assert limits.check_message(body, filenames=("fox.png",)) == []
    description = openapi.load()
    assert description.check_request("POST", "/channels/1/messages", body) == []


@pytest.mark.parametrize(("body", "said"), BAD, ids=lambda value: str(value)[:60])
def test_bad_layouts(body: Json, said: str) -> None:
    found = told(limits.check_message(body, filenames=("fox.png",)))
    assert any(said in one for one in found), found


NOTHING, PLAIN = limits.Before(), limits.Before(legacy=("content", "embeds"))
LAYOUT = limits.Before(filenames=("fox.png",), v2=True)

EDITS: list[tuple[limits.Before, Json, list[str]]] = [
    (NOTHING, v2(text()), []),
    (PLAIN, v2(text(), content=None, embeds=[]), []),
    (PLAIN, v2(text()), ["content", "embeds"]),
    (PLAIN, v2(text(), content=None), ["embeds"]),
    (PLAIN, {"components": [row(button())]}, []),
    (LAYOUT, {"components": [box(text(), gallery(picture()))]}, []),
    (LAYOUT, v2(text()), []),
    (LAYOUT, {"flags": 0, "components": [row(button())]}, []),
    # The flag stays; an edit that denies it is read as if the message had none.
    (LAYOUT, {"flags": 0, "components": [text()]}, ["components.0"]),
    (LAYOUT, {"content": "x"}, ["content"]),
    (LAYOUT, {"flags": 0, "content": "x"}, ["content"]),
    (LAYOUT, {"components": [gallery(picture("attachment://b.png"))]}, ["media.url"]),
]


@pytest.mark.parametrize(("before", "body", "where"), EDITS, ids=str)
def test_edits(before: limits.Before, body: Json, where: list[str]) -> None:
    found = told(limits.check_message(body, before=before))
    assert len(found) == len(where)
    assert all(path in one for path, one in zip(where, found, strict=True)), found


@pytest.mark.parametrize(("body", "empty"), [(v2(), True), (v2(text()), False)])
def test_files_alone_show_nothing_in_a_layout(body: Json, empty: bool) -> None:
    assert limits.is_empty(body, ("fox.png",), v2=limits.uses_v2(body, None)) is empty


# Forms.


def line(**more: Any) -> Json:
    return {"type": 4, "custom_id": "p", "style": 1} | more


def label(component: Json, **more: Any) -> Json:
    return {"type": 18, "label": "L", "component": component} | more


def group(kind: int, count: int = 2, **more: Any) -> Json:
    offered = [{"label": f"L{n}", "value": str(n)} for n in range(count)]
    return {"type": kind, "custom_id": f"g{kind}", "options": offered} | more


def upload(**more: Any) -> Json:
    return {"type": 19, "custom_id": "u"} | more


def checkbox(**more: Any) -> Json:
    return {"type": 23, "custom_id": "c"} | more


def form(*rows: Json, **more: Any) -> Json:
    return {"title": "T", "custom_id": "f", "components": list(rows)} | more


GOOD_FORMS: list[Json] = [
    form(row(line(label="P"))),
    form(
        text(),
        label(line(min_length=0, max_length=4000, value="x")),
        label(menu(required=False, min_values=0), description="x" * 100),
        label(group(RADIO, 10)),
        label(group(CHECKBOXES, 10, min_values=1, max_values=10)),
        title="x" * 45,
    ),
    form(*(label(users(kind)) for kind in (5, 6, 7, 8)), label(checkbox(default=True))),
    form(label(upload(min_values=0, max_values=10, required=False)), label(group(CHECKBOXES, 1))),
]

BAD_FORMS: list[tuple[Json, str]] = [
    (form(label(line()), title="x" * 46), "data.title BASE_TYPE_BAD_LENGTH"),
    (form(label(line()), title=""), "data.title BASE_TYPE_BAD_LENGTH"),
    (form(label(line()), custom_id="x" * 101), "data.custom_id BASE_TYPE_BAD_LENGTH"),
    (form(), "data.components BASE_TYPE_BAD_LENGTH"),
    (form(*[text()] * 6), "data.components BASE_TYPE_BAD_LENGTH"),
    (form(label(line()), label(line())), "custom_id COMPONENT_CUSTOM_ID_DUPLICATED"),
    (form(label(line(), label="x" * 46)), "components.0.label BASE_TYPE_BAD_LENGTH"),
    (form({"type": 18, "component": line()}), "components.0.label BASE_TYPE_REQUIRED"),
    (form({"type": 18, "label": "L"}), "components.0.component BASE_TYPE_REQUIRED"),
    (form(label(line(), description="x" * 101)), "description BASE_TYPE_BAD_LENGTH"),
    (form(text("x" * 4001)), "components.0.content BASE_TYPE_BAD_LENGTH"),
    (form(*[text("x" * 2001)] * 2), "data.components COMPONENT_MAX_TEXT_SIZE_EXCEEDED"),
    # Where a component may be.
    (form(line()), "data.components.0 UNION_TYPE_CHOICES"),
    (form(menu()), "data.components.0 UNION_TYPE_CHOICES"),
    (form(row(button())), "data.components.0.components.0 UNION_TYPE_CHOICES"),
    (form(row(menu())), "data.components.0.components.0 UNION_TYPE_CHOICES"),
    (form(label(button())), "data.components.0.component UNION_TYPE_CHOICES"),
    (form(label(text())), "data.components.0.component UNION_TYPE_CHOICES"),
    (form(box(text())), "data.components.0 UNION_TYPE_CHOICES"),
    # Their fields.
    (form(row(line())), "components.0.label BASE_TYPE_REQUIRED"),
    (form(label({"type": 4, "custom_id": "p"})), "component.style BASE_TYPE_REQUIRED"),
    (form(label(line(style=3))), "component.style BASE_TYPE_CHOICES"),
    (form(label(line(placeholder="x" * 101))), "placeholder BASE_TYPE_MAX_LENGTH"),
    (form(label(line(max_length=4001))), "TEXT_INPUT_COMPONENT_INVALID_LENGTHS"),
    (form(label(line(max_length=0))), "TEXT_INPUT_COMPONENT_INVALID_LENGTHS"),
    (form(label(line(min_length=3, max_length=2))), "TEXT_INPUT_COMPONENT_INVALID_LENGTHS"),
    (form(label(line(max_length=3, value="long"))), "component.value BASE_TYPE_BAD_LENGTH"),
    (form(row(line(label="x" * 46))), "components.0.label BASE_TYPE_BAD_LENGTH"),
    (form(label(menu(placeholder="x" * 151))), "component.placeholder BASE_TYPE_MAX_LENGTH"),
    (form(label(menu(disabled=True))), "component.disabled BASE_TYPE_BAD_VALUE"),
    (form(label(menu(min_values=0))), "component.min_values NUMBER_TYPE_MIN"),
    (form(label(upload(max_values=11))), "component.max_values NUMBER_TYPE_MAX"),
    (form(label(upload(min_values=0))), "component.min_values NUMBER_TYPE_MIN"),
    (form(label(upload(min_values=2))), "SELECT_COMPONENT_MIN_GREATER_THAN_MAX"),
    (form(label({"type": 19})), "component.custom_id BASE_TYPE_REQUIRED"),
    (form(label({"type": 23})), "component.custom_id BASE_TYPE_REQUIRED"),
    (form(label(group(RADIO, custom_id=None))), "component.custom_id BASE_TYPE_REQUIRED"),
    (form(label(group(CHECKBOXES, custom_id=None))), "component.custom_id BASE_TYPE_REQUIRED"),
    (form(label(group(CHECKBOXES, min_values=3))), "SELECT_COMPONENT_MIN_GREATER_THAN_MAX"),
    (form(label(group(CHECKBOXES, min_values=0))), "component.min_values NUMBER_TYPE_MIN"),
    (form(label(group(RADIO, 1))), "component.options BASE_TYPE_BAD_LENGTH"),
    (form(label(group(RADIO, 11))), "component.options BASE_TYPE_BAD_LENGTH"),
    (form(label(group(CHECKBOXES, 0))), "component.options BASE_TYPE_BAD_LENGTH"),
    (form(label(group(CHECKBOXES, 2, max_values=3))), "component.max_values NUMBER_TYPE_MAX"),
    (
        form(label(group(RADIO, options=[{"label": "a", "value": "a"}] * 2))),
        "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
    ),
    (
        form(
            label(
                group(
                    RADIO,
                    options=[{"label": "a", "value": v, "default": True} for v in ("a", "b")],
                )
            )
        ),
        "SELECT_COMPONENT_TOO_MANY_DEFAULTS",
    ),
    (form(label(checkbox(required=True))), "component.required PLAYGROUND_UNKNOWN_KEY"),
]


@pytest.mark.parametrize("data", GOOD_FORMS, ids=lambda value: str(value)[:60])
def test_good_forms(data: Json) -> None:
    assert limits_forms.check(data) == []
    body = {"type": 9, "data": data}
    path = "/interactions/1/token/callback"
    assert openapi.load().check_request("POST", path, body) == []


@pytest.mark.parametrize(("data", "said"), BAD_FORMS, ids=lambda value: str(value)[:60])
def test_bad_forms(data: Json, said: str) -> None:
    found = told(limits_forms.check(data))
    assert any(said in one for one in found), found


FILLED: list[tuple[Json, dict[str, Any], dict[str, Any]]] = [
    (line(), {"p": "owl"}, {"value": "owl"}),
    (line(value="fox"), {}, {"value": "fox"}),
    (line(required=False, min_length=5), {}, {"value": ""}),
    (line(style=2), {"p": "a\nb"}, {"value": "a\nb"}),
    (menu(), {"m": ["a"]}, {"values": ["a"]}),
    (menu(required=False), {}, {"values": []}),
    (group(RADIO), {"g21": "L1"}, {"value": "1"}),
    (group(RADIO, required=False), {}, {"value": None}),
    (group(RADIO, required=False), {"g21": None}, {"value": None}),
    (group(CHECKBOXES), {"g22": ["0", "1"]}, {"values": ["0", "1"]}),
    (group(CHECKBOXES, required=False), {"g22": []}, {"values": []}),
    (checkbox(), {}, {"value": False}),
    (checkbox(default=True), {}, {"value": True}),
    (checkbox(default=True), {"c": False}, {"value": False}),
    (users(default_values=[{"id": "7", "type": "user"}]), {}, {"values": ["7"]}),
    (upload(max_values=2), {"u": ["8", "9"]}, {"values": ["8", "9"]}),
    (upload(required=False), {}, {"values": []}),
]


@pytest.mark.parametrize(("field", "values", "sent"), FILLED, ids=str)
def test_a_filled_in_form(field: Json, values: dict[str, Any], sent: dict[str, Any]) -> None:
    told_first, answer = forms.fill(form(text(), label(field)), values)
    assert told_first == {"type": 10, "id": 1}
    inner = {"type": field["type"], "custom_id": field["custom_id"], "id": 3}
    assert answer == {"type": 18, "id": 2, "component": inner | sent}


UNSENT: list[tuple[Json, dict[str, Any], str]] = [
    (line(), {}, "must be filled in"),
    (line(min_length=2), {"p": "x"}, "takes 2 to 4000 characters; 1 were typed"),
    (line(max_length=2), {"p": "owl"}, "takes 0 to 2 characters; 3 were typed"),
    (line(), {"p": "a\nb"}, "has one line"),
    (menu(), {}, "takes 1 to 1 values; 0 were chosen"),
    (menu(), {"m": ["b"]}, "has no option 'b'; it has: a"),
    (group(RADIO), {}, "takes 1 to 1 values; 0"),
    (group(RADIO), {"g21": "2"}, "has no option '2'; it has: 0, 1"),
    (group(CHECKBOXES), {}, "takes 1 to 2 values; 0"),
    (group(CHECKBOXES), {"g22": ["0", "L0"]}, "names one option twice"),
    (group(CHECKBOXES, max_values=1), {"g22": ["0", "1"]}, "takes 1 to 1 values; 2"),
    (upload(), {}, "takes 1 to 1 values; 0"),
    (upload(required=False, min_values=2, max_values=3), {"u": ["1"]}, "takes 2 to 3 values; 1"),
    (upload(), {"x": ["1"]}, r"has no field \['x'\]; it has: u"),
]


@pytest.mark.parametrize(("field", "values", "said"), UNSENT, ids=str)
def test_a_form_that_the_client_does_not_send(
    field: Json, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientRefused, match=said):
        forms.fill(form(label(field)), values)
