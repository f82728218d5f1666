"""Forms (modals): https://docs.discord.com/developers/components/reference#text-input and #label.

What Discord rejects in one, and what a user's client sends when it is submitted.
"""

from collections.abc import Iterator
from typing import Any

from playground import components
from playground.errors import ClientRefused, Problem

JsonObject = dict[str, Any]
TITLE, LABEL, DESCRIPTION, COMPONENTS, TEXT, PLACEHOLDER = 45, 45, 100, 5, 4000, 100
RADIO, CHECKBOXES, CHECKBOX = 21, 22, 23
LIST_VALUED = components.SELECTS | {components.FILE_UPLOAD, CHECKBOXES}


def check(data: JsonObject) -> list[Problem]:
    """The problems with the ``data`` of a modal callback."""
    return list(_check(data))


def _length(path: tuple[str | int, ...], text: Any, least: int, most: int) -> Iterator[Problem]:
    size = len(str(text or ""))
    if not least <= size <= most:
        yield Problem(
            ("data", *path),
            "BASE_TYPE_BAD_LENGTH",
            f"Must be between {least} and {most} in length; it is {size}.",
        )


def _check(data: JsonObject) -> Iterator[Problem]:
    yield from _length(("title",), data.get("title"), 1, TITLE)
    yield from _length(("custom_id",), data.get("custom_id"), 1, components.CUSTOM_ID)
    rows = data.get("components") or []
    if not 1 <= len(rows) <= COMPONENTS:
        yield Problem(
            ("data", "components"),
            "BASE_TYPE_BAD_LENGTH",
            f"Must be between 1 and {COMPONENTS} in length; there are {len(rows)}.",
        )
    seen: set[str] = set()
    for path, entry in components.walk(rows):
        kind = entry.get("type")
        if kind == components.LABEL:
            yield from _length((*path, "label"), entry.get("label"), 1, LABEL)
            yield from _length((*path, "description"), entry.get("description"), 0, DESCRIPTION)
        name = entry.get("custom_id")
        if name is not None:
            yield from _length((*path, "custom_id"), name, 1, components.CUSTOM_ID)
            if name in seen:
                yield Problem(
                    ("data", *path, "custom_id"),
                    "COMPONENT_CUSTOM_ID_DUPLICATED",
                    f"Component custom id cannot be duplicated: {name!r}",
                )
            seen.add(name)
        if kind == components.TEXT_INPUT:
            yield from _text_input(path, entry)


def _text_input(path: tuple[str | int, ...], entry: JsonObject) -> Iterator[Problem]:
    yield from _length((*path, "placeholder"), entry.get("placeholder"), 0, PLACEHOLDER)
    if entry.get("label") is not None:
        yield from _length((*path, "label"), entry.get("label"), 1, LABEL)
    least = int(entry.get("min_length") or 0)
    most = int(entry.get("max_length") or TEXT)
    if least > most or most > TEXT:
        yield Problem(
            ("data", *path, "min_length"),
            "TEXT_INPUT_COMPONENT_INVALID_LENGTHS",
            f"min_length {least}, max_length {most}: must be 0 to {TEXT}, min not above max",
        )
    if entry.get("value"):
        yield from _length((*path, "value"), entry["value"], least, most)


def inputs(modal: JsonObject) -> dict[str, JsonObject]:
    """The fields of a form by custom_id."""
    walked = components.walk(modal.get("components") or [])
    return {str(c["custom_id"]): c for _, c in walked if "custom_id" in c}


def fill(modal: JsonObject, values: dict[str, Any]) -> list[JsonObject]:
    """The ``components`` that the client submits for a form with these values.

    Other fields keep their defaults. Raises ClientRefused for values the client would reject.
    """
    fields = inputs(modal)
    if strange := values.keys() - fields.keys():
        raise ClientRefused(
            f"the form {modal['custom_id']!r} has no field {sorted(strange)}; it has: "
            f"{', '.join(fields) or 'none'}"
        )
    done: list[JsonObject] = []
    for index, row in enumerate(modal["components"], 1):
        base: JsonObject = {"type": row["type"], "id": row.get("id") or index * 10}
        if row["type"] == components.ROW:
            base["components"] = [_value(c, values) for c in row["components"]]
        elif row["type"] == components.LABEL:
            base["component"] = _value(row["component"], values)
        done.append(base)
    return done


def _value(entry: JsonObject, values: dict[str, Any]) -> JsonObject:
    name, kind = str(entry["custom_id"]), int(entry["type"])
    answer: JsonObject = {"type": kind, "id": entry.get("id") or 1, "custom_id": name}
    if kind in LIST_VALUED:
        options = entry.get("options") or []
        defaults = [o["value"] for o in options if o.get("default")]
        chosen = values.get(name, defaults)
        chosen = [chosen] if isinstance(chosen, str) else [str(v) for v in chosen]
        _check_choice(name, entry, chosen, options)
        return answer | {"values": chosen}
    if kind == CHECKBOX:
        return answer | {"value": bool(values.get(name, entry.get("default", False)))}
    if kind == RADIO:
        return answer | {"value": values.get(name)}
    text = str(values.get(name, entry.get("value") or ""))
    least, most = int(entry.get("min_length") or 0), int(entry.get("max_length") or TEXT)
    if entry.get("required", True) and not text:
        raise ClientRefused(f"the field {name!r} must be filled in")
    if text and not least <= len(text) <= most:
        raise ClientRefused(
            f"the field {name!r} takes {least} to {most} characters; {len(text)} were typed"
        )
    return answer | {"value": text}


def _check_choice(
    name: str, entry: JsonObject, chosen: list[str], options: list[JsonObject]
) -> None:
    allowed = [o["value"] for o in options]
    if options and (wrong := [v for v in chosen if v not in allowed]):
        raise ClientRefused(f"{name!r} has no option {wrong}; it has: {', '.join(allowed)}")
    least = 1 if entry.get("min_values") is None else int(entry["min_values"])
    most = 1 if entry.get("max_values") is None else int(entry["max_values"])
    if not chosen and entry.get("required") is False:
        return
    if not least <= len(chosen) <= most:
        raise ClientRefused(f"{name!r} takes {least} to {most} values; {len(chosen)} were chosen")
