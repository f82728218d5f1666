"""Every refusal, in the functions that refuse and against Discord's own OpenAPI description."""

from typing import Any

import pytest

from playground import forms, limits, limits_commands, options, uploads
from playground.components import finish
from playground.errors import ClientRefused, Problem, form_error
from playground.faults import Faults
from tests.playground.inline_bot import PNG

Json = dict[str, Any]
V2 = 1 << 15


def button(custom_id: str = "a", **more: Any) -> Json:
    return {"type": 2, "style": 1, "label": "x", "custom_id": custom_id} | more


def row(*inside: Json) -> Json:
    return {"type": 1, "components": list(inside)}


def menu(**more: Any) -> Json:
    entry = {"type": 3, "custom_id": "m", "options": [{"label": "a", "value": "a"}]}
    return entry | more


def text(content: str = "x") -> Json:
    return {"type": 10, "content": content}


def embed(**parts: Any) -> Json:
    return {"embeds": [parts]}


GOOD: list[Json] = [
    {"content": "x" * 2000},
    {"embeds": [{"title": "x" * 256, "description": "x" * 4096}]},
    {"components": [row(*(button(str(n)) for n in range(5)))]},
    {"components": [row(button(str(n))) for n in range(5)]},
    {"components": [row(menu(max_values=1))]},
    {"flags": V2, "components": [text() for _ in range(40)]},
    {"content": "x", "allowed_mentions": {"parse": [], "replied_user": False}},
    {"content": "x", "allowed_mentions": {"parse": ["users"], "roles": ["1"]}},
    {"content": "x", "nonce": "n" * 25, "enforce_nonce": True},
    {"attachments": [{"id": 0, "description": "x" * 1024}]},
]

BAD: list[tuple[Json, str]] = [
    ({"content": "x" * 2001}, "BASE_TYPE_MAX_LENGTH"),
    ({"embeds": [{"title": "x"}] * 11}, "BASE_TYPE_MAX_LENGTH"),
    (embed(title="x" * 257), "BASE_TYPE_MAX_LENGTH"),
    (embed(description="x" * 4097), "BASE_TYPE_MAX_LENGTH"),
    (embed(footer={"text": "x" * 2049}), "BASE_TYPE_MAX_LENGTH"),
    (embed(author={"name": "x" * 257}), "BASE_TYPE_MAX_LENGTH"),
    (embed(fields=[{"name": "x", "value": "y"}] * 26), "BASE_TYPE_MAX_LENGTH"),
    (embed(fields=[{"name": "x" * 257, "value": "y"}]), "BASE_TYPE_MAX_LENGTH"),
    (embed(fields=[{"name": "x", "value": "y" * 1025}]), "BASE_TYPE_MAX_LENGTH"),
    (embed(fields=[{"name": "x", "value": ""}]), "BASE_TYPE_REQUIRED"),
    ({"embeds": [{"description": "x" * 3001}] * 2}, "MAX_EMBED_SIZE_EXCEEDED"),
    ({"content": "x", "nonce": "n" * 26}, "BASE_TYPE_MAX_LENGTH"),
    ({"content": "x", "enforce_nonce": True}, "BASE_TYPE_REQUIRED"),
    ({"attachments": [{"id": 0, "description": "x" * 1025}]}, "BASE_TYPE_MAX_LENGTH"),
    ({"attachments": [{"id": n} for n in range(11)]}, "BASE_TYPE_MAX_LENGTH"),
    ({"attachments": [{"id": 0}, {"id": "0"}]}, "ATTACHMENT_DUPLICATE_ID"),
    ({"allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "_PARSE_EXCLUSIVE"),
    ({"allowed_mentions": {"parse": ["all"]}}, "BASE_TYPE_CHOICES"),
    ({"allowed_mentions": {"users": ["1"] * 101}}, "BASE_TYPE_MAX_LENGTH"),
    ({"components": [row(button(str(n))) for n in range(6)]}, "BASE_TYPE_MAX_LENGTH"),
    ({"components": [row(*(button(str(n)) for n in range(6)))]}, "BASE_TYPE_BAD_LENGTH"),
    ({"components": [row()]}, "BASE_TYPE_BAD_LENGTH"),
    ({"components": [row(button("a")), row(button("a"))]}, "CUSTOM_ID_DUPLICATED"),
    ({"components": [row(button("a", id=1), button("b", id=1))]}, "COMPONENT_DUPLICATE_ID"),
    ({"components": [row(button("x" * 101))]}, "BASE_TYPE_BAD_LENGTH"),
    ({"components": [row(button(label="x" * 81))]}, "BASE_TYPE_MAX_LENGTH"),
    ({"components": [row(button(label=None))]}, "LABEL_OR_EMOJI_REQUIRED"),
    ({"components": [row({"type": 2, "style": 1, "label": "x"})]}, "BASE_TYPE_REQUIRED"),
    ({"components": [row({"type": 2, "style": 5, "label": "x"})]}, "BASE_TYPE_REQUIRED"),
    ({"components": [row(button(style=5, url="http://x"))]}, "MUTUALLY_EXCLUSIVE"),
    ({"components": [row(button(url="http://x"))]}, "BUTTON_COMPONENT_INVALID_URL"),
    ({"components": [row(menu(), button())]}, "LAYOUT_WIDTH_EXCEEDED"),
    ({"components": [row(menu(options=[]))]}, "BASE_TYPE_BAD_LENGTH"),
    (
        {"components": [row(menu(options=[{"label": "a", "value": str(n)} for n in range(26)]))]},
        "BASE_TYPE_BAD_LENGTH",
    ),
    ({"components": [row(menu(options=[{"label": "a", "value": "a"}] * 2))]}, "VALUE_DUPLICATED"),
    ({"components": [row(menu(options=[{"label": "x" * 101, "value": "a"}]))]}, "BAD_LENGTH"),
    ({"components": [row(menu(min_values=2, max_values=1))]}, "MIN_GREATER_THAN_MAX"),
    ({"components": [row(menu(max_values=2))]}, "MAX_VALUES_OVER_OPTIONS"),
    ({"components": [text()]}, "UNION_TYPE_CHOICES"),
    (
        {"flags": V2, "components": [{"type": 17, "components": [text()] * 20}] * 2},
        "MAX_TOTAL_COMPONENTS_EXCEEDED",
    ),
    ({"flags": V2, "components": [text("x" * 2001)] * 2}, "MAX_TEXT_SIZE_EXCEEDED"),
    ({"flags": V2, "content": "x", "components": [text()]}, "WITH_COMPONENTS_V2"),
    ({"flags": V2, "embeds": [{"title": "x"}], "components": [text()]}, "WITH_COMPONENTS_V2"),
    (
        {"flags": V2, "components": [{"type": 13, "file": {"url": "attachment://no.png"}}]},
        "REFERENCED_ATTACHMENT_NOT_FOUND",
    ),
    (
        {
            "flags": V2,
            "components": [{"type": 12, "items": [{"media": {"url": "http://x"}}] * 11}],
        },
        "BASE_TYPE_BAD_LENGTH",
    ),
    # What Discord accepts, but no good client sends.
    ({"content": "x", "colour": 1}, "PLAYGROUND_UNKNOWN_KEY"),
    (embed(title="x", colour=1), "PLAYGROUND_UNKNOWN_KEY"),
    ({"components": [row(button(text="x"))]}, "PLAYGROUND_UNKNOWN_KEY"),
    ({"attachments": [{"id": 0, "alt": "x"}]}, "PLAYGROUND_UNKNOWN_KEY"),
    ({"content": "x", "allowed_mentions": {"user": []}}, "PLAYGROUND_UNKNOWN_KEY"),
    (embed(image={"url": "attachment://no.png"}), "PLAYGROUND_ATTACHMENT_NOT_FOUND"),
]


def codes(problems: list[Problem]) -> list[str]:
    return [problem.code for problem in problems]


@pytest.mark.parametrize("body", GOOD, ids=str)
def test_good_messages(body: Json) -> None:
    assert limits.check_message(body) == []


@pytest.mark.parametrize(("body", "code"), BAD, ids=lambda value: str(value)[:60])
def test_bad_messages(body: Json, code: str) -> None:
    found = codes(limits.check_message(body))
    assert any(code in one for one in found), found


def test_eleven_files() -> None:
    names = tuple(f"{n}.png" for n in range(11))
    assert codes(limits.check_message({}, filenames=names)) == ["BASE_TYPE_MAX_LENGTH"]


def test_an_attachment_may_be_new_or_kept() -> None:
    body: Json = embed(image={"url": "attachment://fox.png"})
    assert limits.check_message(body, filenames=("fox.png",)) == []
    assert limits.check_message(body, before=limits.Before(filenames=("fox.png",))) == []


def test_the_v2_flag_stays() -> None:
    found = limits.check_message({"content": "x"}, before=limits.Before(v2=True))
    assert codes(found) == ["MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"]


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        ({}, True),
        ({"content": " \n"}, True),
        ({"content": None, "embeds": [], "components": []}, True),
        ({"content": "x"}, False),
        ({"embeds": [{"title": "x"}]}, False),
        ({"components": [row(button())]}, False),
    ],
)
def test_empty(body: Json, empty: bool) -> None:
    assert limits.is_empty(body, ()) is empty
    assert not limits.is_empty(body, ("fox.png",))


CHOICES: list[tuple[list[Json], int, str | None]] = [
    ([{"name": "x" * 100, "value": "y" * 100}] * 25, 3, None),
    ([{"name": "x", "value": 1}], 4, None),
    ([{"name": "x", "value": 1.5}], 10, None),
    ([{"name": "x", "value": "y"}] * 26, 3, "BASE_TYPE_MAX_LENGTH"),
    ([{"name": "x" * 101, "value": "y"}], 3, "BASE_TYPE_MAX_LENGTH"),
    ([{"name": "x", "value": "y" * 101}], 3, "BASE_TYPE_MAX_LENGTH"),
    ([{"name": "", "value": "y"}], 3, "BASE_TYPE_REQUIRED"),
    ([{"name": "x", "value": ""}], 3, "BASE_TYPE_BAD_TYPE"),
    ([{"name": "x", "value": 1}], 3, "BASE_TYPE_BAD_TYPE"),
    ([{"name": "x", "value": "1"}], 4, "BASE_TYPE_BAD_TYPE"),
    ([{"name": "x", "value": True}], 4, "BASE_TYPE_BAD_TYPE"),
    ([{"name": "x", "value": "y", "text": 1}], 3, "PLAYGROUND_UNKNOWN_KEY"),
]


@pytest.mark.parametrize(("choices", "kind", "code"), CHOICES, ids=lambda v: str(v)[:40])
def test_choices(choices: list[Json], kind: int, code: str | None) -> None:
    assert codes(limits.check_choices(choices, kind)) == ([code] if code else [])


def command(name: str = "paint", **more: Any) -> Json:
    return {"name": name, "description": "Paint", "type": 1} | more


def option(name: str = "o", kind: int = 3, **more: Any) -> Json:
    return {"type": kind, "name": name, "description": "d"} | more


def sub(name: str, kind: int, *inside: Json) -> Json:
    return option(name, kind, options=list(inside))


COMMANDS: list[tuple[list[Json], str | None]] = [
    ([command("malen-2_'"), command("ペイント"), command("ไทย"), command("हिन्दी")], None),
    ([command(), {"name": "Big Menu", "type": 3, "description": ""}], None),
    ([command(options=[sub("g", 2, sub("s", 1, option()))])], None),
    ([command(name="Paint")], "INVALID_NAME"),
    ([command(name="pa int")], "INVALID_NAME"),
    ([command(name="pa.int")], "INVALID_NAME"),
    ([command(name="x" * 33)], "INVALID_NAME"),
    ([command(name="")], "INVALID_NAME"),
    ([command(name_localizations={"de": "Malen"})], "INVALID_NAME"),
    ([command(name_localizations={"xx": "malen"})], "BASE_TYPE_CHOICES"),
    ([command(description="")], "BASE_TYPE_BAD_LENGTH"),
    ([command(description="x" * 101)], "BASE_TYPE_BAD_LENGTH"),
    ([command(description_localizations={"de": "x" * 101})], "BASE_TYPE_BAD_LENGTH"),
    ([command(), command()], "DUPLICATE_NAME"),
    ([command(str(n)) for n in range(101)], "MAXIMUM_NUMBER_REACHED"),
    ([{"name": str(n), "type": 3} for n in range(16)], "MAXIMUM_NUMBER_REACHED"),
    ([{"name": "x", "type": 3, "description": "d"}], "DESCRIPTION_NOT_ALLOWED"),
    ([{"name": "x", "type": 2, "options": [option()]}], "OPTIONS_NOT_ALLOWED"),
    ([{"name": "x" * 33, "type": 2}], "BASE_TYPE_BAD_LENGTH"),
    ([{"name": "x", "type": 3, "name_localizations": {"de": "Noch mal"}}], None),
    ([{"name": "x", "type": 3, "name_localizations": {"de": "x" * 33}}], "BASE_TYPE_BAD_LENGTH"),
    ([{"name": "x", "type": 3, "name_localizations": {"xx": "y"}}], "BASE_TYPE_CHOICES"),
    ([command(options=[option(f"o{n}") for n in range(26)])], "BASE_TYPE_MAX_LENGTH"),
    ([command(options=[option("A")])], "INVALID_NAME"),
    ([command(options=[option(), option()])], "NAME_ALREADY_EXISTS"),
    ([command(options=[option("a"), option("b", required=True)])], "REQUIRED_INVALID"),
    ([command(options=[option(kind=12)])], "BASE_TYPE_CHOICES"),
    ([command(options=[option(), sub("s", 1)])], "OPTIONS_TYPE_INVALID"),
    ([command(options=[sub("s", 1, sub("t", 1))])], "OPTIONS_TYPE_INVALID"),
    ([command(options=[sub("g", 2, sub("h", 2))])], "OPTIONS_TYPE_INVALID"),
    ([command(options=[sub("g", 2, option())])], "OPTIONS_TYPE_INVALID"),
    (
        [command(options=[option(choices=[{"name": str(n), "value": "v"} for n in range(26)])])],
        "BASE_TYPE_MAX_LENGTH",
    ),
    ([command(options=[option(choices=[{"name": "x" * 101, "value": "v"}])])], "BAD_LENGTH"),
    ([command(options=[option(choices=[{"name": "x", "value": "v" * 101}])])], "BAD_LENGTH"),
    ([command(options=[option(choices=[{"name": "x", "value": "v"}] * 2)])], "CHOICE_NAME"),
    (
        [command(options=[option(autocomplete=True, choices=[{"name": "x", "value": "v"}])])],
        "AUTOCOMPLETE_CHOICES",
    ),
    ([command(options=[option(kind=5, autocomplete=True)])], "CHOICES_TYPE"),
    ([command(options=[option(kind=4, min_value=2, max_value=1)])], "NUMBER_TYPE_MAX"),
    ([command(options=[option(min_length=2, max_length=1)])], "NUMBER_TYPE_MAX"),
    (
        [
            command(
                options=[
                    option(f"o{n}", choices=[{"name": f"{m:090}", "value": "v"} for m in range(25)])
                    for n in range(4)
                ]
            )
        ],
        "COMMAND_TOO_LARGE",
    ),
    ([command(colour=1)], "PLAYGROUND_UNKNOWN_KEY"),
    ([command(options=[option(minimum=1)])], "PLAYGROUND_UNKNOWN_KEY"),
]


@pytest.mark.parametrize(("scope", "code"), COMMANDS, ids=lambda v: str(v)[:60])
def test_commands(scope: list[Json], code: str | None) -> None:
    found = codes(limits_commands.check_scope(scope))
    if code is None:
        assert found == []
    else:
        assert any(code in one for one in found), found


def form(**more: Any) -> Json:
    entry = {"type": 4, "custom_id": "p", "style": 1, "label": "P"}
    return {"title": "T", "custom_id": "f", "components": [row(entry)]} | more


def test_filling_in_a_form() -> None:
    label: Json = {"type": 18, "label": "S", "component": menu(required=False)}
    data = form(components=[*form()["components"], label])
    filled = forms.fill(data, {"p": "owl"})
    assert filled[0]["components"][0]["value"] == "owl"
    assert filled[1]["component"]["values"] == []
    assert forms.fill(data, {"p": "owl", "m": ["a"]})[1]["component"]["values"] == ["a"]
    with pytest.raises(ClientRefused, match="has no option"):
        forms.fill(data, {"p": "owl", "m": ["b"]})


def test_the_shape_of_a_refusal() -> None:
    error = form_error([Problem(("embeds", 0, "title"), "BASE_TYPE_MAX_LENGTH", "Must be …")])
    assert (error.status, error.code, error.message) == (400, 50035, "Invalid Form Body")
    wrong = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be …"}
    assert error.body()["errors"] == {"embeds": {"0": {"title": {"_errors": [wrong]}}}}


def test_components_are_completed() -> None:
    (done,) = finish(
        [row(button(emoji={"name": "x", "id": None}), button("b", id=7))],
        lambda url: ({"url": url}, None),
    )
    assert [c["id"] for c in done["components"]] == [2, 7]
    assert done["components"][0]["emoji"] == {"name": "x"}


def test_file_names_types_and_sizes() -> None:
    assert uploads.safe_name("a b/ü.png") == "a_b__.png"
    assert uploads.content_type("x.bin", PNG) == "image/png"
    assert uploads.content_type("x.txt", b"hi") == "text/plain; charset=utf-8"
    assert uploads.dimensions(PNG) == (3, 2)
    assert uploads.dimensions(b"GIF89a\x05\x00\x04\x00") == (5, 4)
    assert uploads.dimensions(b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x07\x00\x09") == (9, 7)
    assert uploads.dimensions(b"\x89PNG\r\n\x1a\n") is None
    webp = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x05\x00\x00"
    assert uploads.dimensions(webp) == (8, 6)


def test_faults_name_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="scope 'all' is unknown; allowed: user, shared, global"):
        Faults().rate_limit("GET", "/", 1, 1, "all")


def test_option_kinds_are_discords() -> None:
    assert (options.STRING, options.MENTIONABLE, options.ATTACHMENT) == (3, 9, 11)
