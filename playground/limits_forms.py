"""What Discord rejects in a form (modal):
https://docs.discord.com/developers/components/using-modal-components.
"""

from collections.abc import Iterator
from typing import Any

from playground import components as c
from playground import limits_components as limits
from playground.errors import Problem

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

TITLE, LABEL, DESCRIPTION, ROWS, TEXT, PLACEHOLDER, FILES = 45, 45, 100, 5, 4000, 100, 10
RADIO_OPTIONS, CHECKBOX_OPTIONS = (2, 10), (1, 10)
STYLES = SHORT, PARAGRAPH = (1, 2)

TOP = (c.ROW, c.TEXT, c.LABEL)
NESTING: limits.Nesting = {
    c.ROW: {"components": (c.TEXT_INPUT,)},
    c.LABEL: {
        "component": (
            c.STRING_SELECT,
            c.TEXT_INPUT,
            *sorted(c.ENTITY_SELECTS),
            c.FILE_UPLOAD,
            c.RADIO,
            c.CHECKBOXES,
            c.CHECKBOX,
        )
    },
}
KEYS = limits.KEYS | {
    c.TEXT_INPUT: frozenset(
        {"custom_id", "style", "label", "min_length", "max_length", "required", "value"}
        | {"placeholder"}
    ),
    c.LABEL: frozenset({"label", "description", "component"}),
    c.FILE_UPLOAD: limits.CHOICE_KEYS | {"file_types"},
    c.RADIO: frozenset({"custom_id", "options", "required"}),
    c.CHECKBOXES: limits.CHOICE_KEYS | {"options"},
    c.CHECKBOX: frozenset({"custom_id", "default"}),
}


def check(data: JsonObject) -> list[Problem]:
    """The problems with the ``data`` of a modal callback."""
    problems = _check(data)
    return [Problem(("data", *p.path), p.code, p.message, p.refused) for p in problems]


def _check(data: JsonObject) -> Iterator[Problem]:
    rows = data.get("components") or []
    yield from limits.length(("title",), data.get("title") or "", 1, TITLE)
    yield from limits.length(("custom_id",), data.get("custom_id") or "", 1, limits.CUSTOM_ID)
    yield from limits.length(("components",), rows, 1, ROWS)
    everything = list(c.walk(rows))
    yield from limits.places(rows, TOP, NESTING)
    yield from limits.totals(everything)
    yield from limits.unique(everything)
    yield from limits.keys(everything, KEYS)
    for path, entry in everything:
        yield from _component(path, entry)


def _component(path: Path, entry: JsonObject) -> Iterator[Problem]:
    kind = entry.get("type")
    if kind == c.LABEL:
        yield from limits.required(path, entry, "label")
        yield from limits.length((*path, "label"), entry.get("label"), 1, LABEL)
        yield from limits.length((*path, "description"), entry.get("description"), 1, DESCRIPTION)
    elif kind == c.TEXT:
        yield from limits.text_display(path, entry)
    elif kind == c.TEXT_INPUT:
        yield from _text_input(path, entry)
    elif kind in c.SELECTS:
        yield from limits.select(path, entry)
        yield from _answerable(path, entry)
        if entry.get("disabled"):
            message = "Modals cannot have disabled components"
            yield Problem((*path, "disabled"), "BASE_TYPE_BAD_VALUE", message)
    elif kind == c.FILE_UPLOAD:
        yield from limits.required(path, entry, "custom_id")
        yield from limits.counts(path, entry, FILES)
        yield from _answerable(path, entry)
    elif kind == c.RADIO:
        yield from limits.required(path, entry, "custom_id")
        yield from limits.options(path, entry, *RADIO_OPTIONS)
    elif kind == c.CHECKBOXES:
        offered = len(entry.get("options") or [])
        yield from limits.required(path, entry, "custom_id")
        yield from limits.options(path, entry, *CHECKBOX_OPTIONS)
        yield from limits.counts(path, entry, CHECKBOX_OPTIONS[1], most=max(offered, 1))
        yield from _answerable(path, entry)
        yield from limits.number((*path, "max_values"), entry.get("max_values"), 1, offered)
    elif kind == c.CHECKBOX:
        yield from limits.required(path, entry, "custom_id")


def _answerable(path: Path, entry: JsonObject) -> Iterator[Problem]:
    """``min_values`` of 0 contradicts ``required``, which is the default."""
    if entry.get("required") is not False and entry.get("min_values") == 0:
        message = "min_values must be at least 1 unless required is false"
        yield Problem((*path, "min_values"), "NUMBER_TYPE_MIN", message)


def _text_input(path: Path, entry: JsonObject) -> Iterator[Problem]:
    yield from limits.required(path, entry, "custom_id", "style")
    if entry.get("style") is not None:
        yield from limits.one_of((*path, "style"), entry["style"], STYLES)
    in_row = path[-2] == "components"
    if in_row:
        yield from limits.required(path, entry, "label")
    yield from limits.length((*path, "label"), entry.get("label"), 1, LABEL)
    yield from limits.length((*path, "placeholder"), entry.get("placeholder"), 0, PLACEHOLDER)
    least = int(entry.get("min_length") or 0)
    most = TEXT if entry.get("max_length") is None else int(entry["max_length"])
    if not 0 <= least <= most <= TEXT or not most:
        yield Problem(
            (*path, "min_length"),
            "TEXT_INPUT_COMPONENT_INVALID_LENGTHS",
            f"min_length {least}, max_length {most}: must be 0 to {TEXT} and 1 to {TEXT}, "
            "min not above max",
        )
    elif entry.get("value"):
        yield from limits.length((*path, "value"), entry["value"], least or 1, most)
