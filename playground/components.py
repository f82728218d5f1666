"""Message components: https://docs.discord.com/developers/components/reference.

What Discord rejects, what it fills in, and how a user's client finds the one to press.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from playground.errors import Problem

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER, LABEL, FILE_UPLOAD = (
    9, 10, 11, 12, 13, 14, 17, 18, 19,
)  # fmt: skip
LEGACY = frozenset({ROW, BUTTON}) | SELECTS
ROWS, BUTTONS_PER_ROW, TOTAL, TEXT_TOTAL = 5, 5, 40, 4000
LABEL_LENGTH, CUSTOM_ID, GALLERY_ITEMS, OPTIONS = 80, 100, 10, 25
LINK, PREMIUM = 5, 6
KEYS: dict[int, frozenset[str]] = {
    ROW: frozenset({"components"}),
    BUTTON: frozenset({"style", "label", "emoji", "custom_id", "sku_id", "url", "disabled"}),
    STRING_SELECT: frozenset(
        {"custom_id", "options", "placeholder", "min_values", "max_values", "disabled", "required"}
    ),
    SECTION: frozenset({"components", "accessory"}),
    TEXT: frozenset({"content"}),
    THUMBNAIL: frozenset({"media", "description", "spoiler"}),
    GALLERY: frozenset({"items"}),
    FILE: frozenset({"file", "spoiler", "name", "size"}),
    SEPARATOR: frozenset({"divider", "spacing"}),
    CONTAINER: frozenset({"components", "accent_color", "spoiler"}),
}


def walk(rows: list[JsonObject], path: Path = ("components",)) -> Iterator[tuple[Path, JsonObject]]:
    """Every component with its path, parents first."""
    for index, entry in enumerate(rows):
        where = (*path, index)
        yield where, entry
        yield from walk(entry.get("components") or [], (*where, "components"))
        for key in ("accessory", "component"):
            if isinstance(entry.get(key), dict):
                yield (*where, key), entry[key]


def media(entry: JsonObject) -> Iterator[tuple[Path, JsonObject]]:
    """The media objects of one component, with their paths in it."""
    if entry.get("type") == GALLERY:
        for index, item in enumerate(entry.get("items") or []):
            yield ("items", index, "media"), item.get("media") or {}
    elif entry.get("type") == THUMBNAIL:
        yield ("media",), entry.get("media") or {}
    elif entry.get("type") == FILE:
        yield ("file",), entry.get("file") or {}


def check(rows: list[JsonObject], *, v2: bool, filenames: tuple[str, ...]) -> Iterator[Problem]:
    """The problems with the ``components`` of a message body."""
    everything = list(walk(rows))
    if not v2 and len(rows) > ROWS:
        yield Problem(
            ("components",),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {ROWS} or fewer in length; there are {len(rows)} rows.",
        )
    if len(everything) > TOTAL:
        yield Problem(
            ("components",),
            "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
            f"A message has at most {TOTAL} components, nested ones counted; "
            f"this one has {len(everything)}",
        )
    text = sum(len(entry.get("content") or "") for _, entry in everything)
    if text > TEXT_TOTAL:
        yield Problem(
            ("components",),
            "COMPONENT_MAX_TEXT_SIZE_EXCEEDED",
            f"The text of all components is {text} long; the limit is {TEXT_TOTAL}",
        )
    yield from _unique(everything)
    for path, entry in everything:
        kind = int(entry.get("type") or 0)
        if not v2 and kind not in LEGACY:
            yield Problem(
                (*path, "type"),
                "COMPONENT_INVALID_TYPE",
                f"type {kind} needs the IS_COMPONENTS_V2 flag; allowed without it: "
                f"{sorted(LEGACY)}",
            )
        if kind in KEYS:
            for key in entry.keys() - KEYS[kind] - {"type", "id"}:
                yield Problem(
                    (*path, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores {key!r}", False
                )
        if kind == ROW:
            yield from _row(path, entry)
        elif kind == BUTTON:
            yield from _button(path, entry)
        elif kind in SELECTS:
            yield from _select(path, entry)
        elif kind == GALLERY and not 1 <= len(entry.get("items") or []) <= GALLERY_ITEMS:
            yield Problem((*path, "items"), "BASE_TYPE_MAX_LENGTH", "A gallery has 1 to 10 items")
        for inner, item in media(entry):
            url = str(item.get("url") or "")
            if (
                url.startswith("attachment://")
                and url.removeprefix("attachment://") not in filenames
            ):
                yield Problem(
                    (*path, *inner, "url"),
                    "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                    f"{url!r} is not a file of this message; it has: "
                    f"{', '.join(filenames) or 'none'}",
                )


def _unique(everything: list[tuple[Path, JsonObject]]) -> Iterator[Problem]:
    seen: set[str] = set()
    ids: set[int] = set()
    for path, entry in everything:
        name = entry.get("custom_id")
        if name is not None:
            if not 1 <= len(name) <= CUSTOM_ID:
                yield Problem(
                    (*path, "custom_id"),
                    "BASE_TYPE_BAD_LENGTH",
                    f"Must be between 1 and {CUSTOM_ID} in length; it is {len(name)}.",
                )
            if name in seen:
                yield Problem(
                    (*path, "custom_id"),
                    "COMPONENT_CUSTOM_ID_DUPLICATED",
                    f"Component custom id cannot be duplicated: {name!r}",
                )
            seen.add(name)
        if entry.get("id"):
            if entry["id"] in ids:
                yield Problem(
                    (*path, "id"), "COMPONENT_DUPLICATE_ID", f"id {entry['id']} is used twice"
                )
            ids.add(entry["id"])


def _row(path: Path, entry: JsonObject) -> Iterator[Problem]:
    inside = [int(c.get("type") or 0) for c in entry.get("components") or []]
    if not 1 <= len(inside) <= BUTTONS_PER_ROW:
        yield Problem(
            (*path, "components"),
            "BASE_TYPE_BAD_LENGTH",
            f"A row has 1 to {BUTTONS_PER_ROW} components; this one has {len(inside)}",
        )
    if SELECTS.intersection(inside) and len(inside) > 1:
        yield Problem(
            (*path, "components"),
            "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
            "The specified component exceeds the maximum width: a select takes a whole row",
        )


def _button(path: Path, entry: JsonObject) -> Iterator[Problem]:
    style = entry.get("style")
    label = entry.get("label") or ""
    if len(label) > LABEL_LENGTH:
        yield Problem(
            (*path, "label"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {LABEL_LENGTH} or fewer in length; it is {len(label)}.",
        )
    if style == LINK and not entry.get("url"):
        yield Problem((*path, "url"), "BASE_TYPE_REQUIRED", "A link button needs a url")
    if style == LINK and entry.get("custom_id"):
        yield Problem((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                      "A custom id and url cannot both be specified")  # fmt: skip
    if style not in (LINK, PREMIUM):
        if not entry.get("custom_id"):
            yield Problem(
                (*path, "custom_id"), "BASE_TYPE_REQUIRED", "This button needs a custom_id"
            )
        if entry.get("url"):
            yield Problem((*path, "url"), "BUTTON_COMPONENT_INVALID_URL", "Only links have a url")
    if style != PREMIUM and not (label or entry.get("emoji")):
        yield Problem((*path, "label"), "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED",
                      "A button needs a label or an emoji")  # fmt: skip


def _select(path: Path, entry: JsonObject) -> Iterator[Problem]:
    least = 1 if entry.get("min_values") is None else entry["min_values"]
    most = 1 if entry.get("max_values") is None else entry["max_values"]
    if least > most:
        yield Problem(
            (*path, "min_values"),
            "SELECT_COMPONENT_MIN_GREATER_THAN_MAX",
            f"min_values {least} is greater than max_values {most}",
        )
    if entry.get("type") != STRING_SELECT:
        return
    options = entry.get("options") or []
    if not 1 <= len(options) <= OPTIONS:
        yield Problem(
            (*path, "options"),
            "BASE_TYPE_BAD_LENGTH",
            f"Must be between 1 and {OPTIONS} in length; there are {len(options)}.",
        )
    if most > max(len(options), 1):
        yield Problem(
            (*path, "max_values"),
            "SELECT_COMPONENT_MAX_VALUES_OVER_OPTIONS",
            f"max_values {most} exceeds the {len(options)} options",
        )
    seen: set[str] = set()
    for index, option in enumerate(options):
        where = (*path, "options", index)
        for key in ("label", "value", "description"):
            if len(str(option.get(key) or "")) > 100:
                yield Problem(
                    (*where, key), "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length."
                )
        if option.get("value") in seen:
            yield Problem(
                (*where, "value"),
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                f"The specified option value is already used: {option.get('value')!r}",
            )
        seen.add(str(option.get("value")))
    if sum(1 for option in options if option.get("default")) > most:
        yield Problem((*path, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULTS", "Too many defaults")


def finish(rows: list[JsonObject], unfurl: Callable[[str], JsonObject]) -> list[JsonObject]:
    """Convert components as sent to the form that Discord stores and returns.

    ``unfurl`` turns a media url (``attachment://name`` or a real one) into a media object.
    """
    taken = {entry["id"] for _, entry in walk(rows) if entry.get("id")}
    numbers = (n for n in itertools.count(1) if n not in taken)
    return [_finish(entry, numbers, unfurl) for entry in rows]


def _finish(
    entry: JsonObject, numbers: Iterator[int], unfurl: Callable[[str], JsonObject]
) -> JsonObject:
    kind = entry.get("type")
    done = {key: value for key, value in entry.items() if value is not None}
    done["id"] = entry.get("id") or next(numbers)
    if "options" in done:
        done["options"] = [dict(option) for option in done["options"]]
    for holder in (done, *done.get("options", ())):
        if isinstance(holder.get("emoji"), dict):
            holder["emoji"] = {k: v for k, v in holder["emoji"].items() if v is not None}
    if "components" in entry:
        done["components"] = [_finish(c, numbers, unfurl) for c in entry["components"]]
    for key in ("accessory", "component"):
        if isinstance(entry.get(key), dict):
            done[key] = _finish(entry[key], numbers, unfurl)
    if kind in SELECTS:
        done.setdefault("min_values", 1)
        done.setdefault("max_values", 1)
        done.pop("required", None)
    elif kind == GALLERY:
        done["items"] = [
            {
                "media": unfurl(item["media"]["url"]),
                "description": item.get("description"),
                "spoiler": bool(item.get("spoiler")),
            }
            for item in entry["items"]
        ]
    elif kind == THUMBNAIL:
        done |= {
            "media": unfurl(entry["media"]["url"]),
            "description": entry.get("description"),
            "spoiler": bool(entry.get("spoiler")),
        }
    elif kind == FILE:
        shown = unfurl(entry["file"]["url"])
        done |= {
            "file": shown,
            "name": shown["url"].rsplit("/", 1)[-1].split("?", 1)[0],
            "size": None,
            "spoiler": bool(entry.get("spoiler")),
        }
    elif kind == SEPARATOR:
        done.setdefault("spacing", 1)
        done.setdefault("divider", True)
    elif kind == CONTAINER:
        done |= {
            "accent_color": entry.get("accent_color"),
            "spoiler": bool(entry.get("spoiler")),
        }
    return done


def interactive(rows: list[JsonObject]) -> list[JsonObject]:
    """The buttons and selects, in display order."""
    return [c for _, c in walk(rows) if c.get("type") == BUTTON or c.get("type") in SELECTS]


def name_of(entry: JsonObject) -> str:
    """How a user would refer to a component."""
    emoji = (entry.get("emoji") or {}).get("name") or ""
    words = [str(entry.get(k)) for k in ("label", "placeholder", "custom_id") if entry.get(k)]
    return " / ".join([*([emoji] if emoji else []), *words]) or f"type {entry.get('type')}"
