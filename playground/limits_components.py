"""What Discord rejects in components: https://docs.discord.com/developers/components/reference.

The rules that hold in messages and in forms alike, and those of messages.
"""

from collections.abc import Iterator
from typing import Any

from playground import components as c
from playground.errors import Problem

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]
Nesting = dict[int, dict[str, tuple[int, ...]]]

ROWS, BUTTONS_PER_ROW, TOTAL, TEXT_TOTAL = 5, 5, 40, 4000
LABEL_LENGTH, CUSTOM_ID, GALLERY_ITEMS, OPTIONS, VALUES = 80, 100, 10, 25, 25
TEXT, ALT_TEXT, PLACEHOLDER, OPTION_TEXT, URL, MEDIA_URL = 4000, 1024, 150, 100, 512, 2048
PRIMARY, LINK, PREMIUM = 1, 5, 6
SPACINGS, COLOR_MAX = (1, 2), 0xFFFFFF

TOP = (c.ROW, c.SECTION, c.TEXT, c.GALLERY, c.FILE, c.SEPARATOR, c.CONTAINER)
LEGACY_TOP = (c.ROW,)
IN_ROW = (c.BUTTON, *sorted(c.SELECTS))
NESTING: Nesting = {
    c.ROW: {"components": IN_ROW},
    c.SECTION: {"components": (c.TEXT,), "accessory": (c.BUTTON, c.THUMBNAIL)},
    c.CONTAINER: {"components": TOP[:-1]},
}
"""What each kind may hold in a message, by the key that holds it."""
HOLDS: dict[int, int] = {c.ROW: BUTTONS_PER_ROW, c.SECTION: 3, c.CONTAINER: TOTAL}
"""How many components each kind may hold."""

CHOICE_KEYS = frozenset({"custom_id", "min_values", "max_values", "required"})
SELECT_KEYS = CHOICE_KEYS | {"placeholder", "disabled", "default_values"}
KEYS: dict[int, frozenset[str]] = {
    c.ROW: frozenset({"components"}),
    c.BUTTON: frozenset({"style", "label", "emoji", "custom_id", "sku_id", "url", "disabled"}),
    c.STRING_SELECT: CHOICE_KEYS | {"placeholder", "disabled", "options"},
    c.USER_SELECT: SELECT_KEYS,
    c.ROLE_SELECT: SELECT_KEYS,
    c.MENTIONABLE_SELECT: SELECT_KEYS,
    c.CHANNEL_SELECT: SELECT_KEYS | {"channel_types"},
    c.SECTION: frozenset({"components", "accessory"}),
    c.TEXT: frozenset({"content"}),
    c.THUMBNAIL: frozenset({"media", "description", "spoiler"}),
    c.GALLERY: frozenset({"items"}),
    c.FILE: frozenset({"file", "spoiler", "name", "size"}),
    c.SEPARATOR: frozenset({"divider", "spacing"}),
    c.CONTAINER: frozenset({"components", "accent_color", "spoiler"}),
}
DEFAULTS: dict[int, tuple[str, ...]] = {
    c.USER_SELECT: ("user",),
    c.ROLE_SELECT: ("role",),
    c.MENTIONABLE_SELECT: ("user", "role"),
    c.CHANNEL_SELECT: ("channel",),
}


# Rules of messages and forms.


def required(path: Path, entry: JsonObject, *keys: str) -> Iterator[Problem]:
    """Problems for keys that are missing or null."""
    for key in keys:
        if entry.get(key) is None:
            yield Problem((*path, key), "BASE_TYPE_REQUIRED", "This field is required")


def length(path: Path, value: object, least: int, most: int) -> Iterator[Problem]:
    """A problem if a text or list, unless it is None, is shorter or longer than allowed."""
    if not isinstance(value, str | list) or least <= len(value) <= most:
        return
    if least:
        message = f"Must be between {least} and {most} in length; it is {len(value)}."
        yield Problem(path, "BASE_TYPE_BAD_LENGTH", message)
    else:
        message = f"Must be {most} or fewer in length; it is {len(value)}."
        yield Problem(path, "BASE_TYPE_MAX_LENGTH", message)


def number(path: Path, value: int | None, least: int, most: int) -> Iterator[Problem]:
    """A problem if a number, unless it is None, is out of range."""
    if value is not None and not least <= value <= most:
        code = "NUMBER_TYPE_MIN" if value < least else "NUMBER_TYPE_MAX"
        yield Problem(path, code, f"Must be {least} to {most}; it is {value}.")


def one_of(path: Path, value: object, allowed: tuple[object, ...]) -> Iterator[Problem]:
    """A problem if a value is none of those allowed."""
    if value not in allowed:
        yield Problem(path, "BASE_TYPE_CHOICES", f"Value {value!r} must be one of {allowed}.")


def scheme(path: Path, url: str, allowed: tuple[str, ...]) -> Iterator[Problem]:
    """A problem if a URL has another scheme."""
    name, colon, _ = url.partition(":")
    if not colon:
        yield Problem(path, "URL_TYPE_INVALID_URL", f"Not a well formed URL: {url!r}.")
    elif name not in allowed:
        yield Problem(
            path,
            "URL_TYPE_INVALID_SCHEME",
            f'Scheme "{name}" is not supported. Scheme must be one of {allowed}.',
        )


def places(
    rows: list[JsonObject], top: tuple[int, ...], nesting: Nesting, path: Path = ("components",)
) -> Iterator[Problem]:
    """Problems for components where their kind may not be, and for holders without content."""
    for index, entry in enumerate(rows):
        yield from _place(entry, (*path, index), top, nesting)


def _place(
    entry: JsonObject, path: Path, allowed: tuple[int, ...], nesting: Nesting
) -> Iterator[Problem]:
    kind = entry.get("type")
    if kind not in allowed:
        message = f'Value of field "type" must be one of {allowed}; it is {kind}.'
        yield Problem(path, "UNION_TYPE_CHOICES", message)
        return
    for key, inside in nesting.get(int(kind or 0), {}).items():
        yield from required(path, entry, key)
        held = entry.get(key)
        if isinstance(held, list):
            yield from length((*path, key), held, 1, HOLDS[int(kind or 0)])
            yield from places(held, inside, nesting, (*path, key))
        elif held is not None:
            yield from _place(held, (*path, key), inside, nesting)


def keys(
    everything: list[tuple[Path, JsonObject]], known: dict[int, frozenset[str]]
) -> Iterator[Problem]:
    """Problems for keys that Discord silently ignores: likely typos in the sender."""
    for path, entry in everything:
        allowed = known.get(int(entry.get("type") or 0))
        for key in entry.keys() - (allowed or entry.keys()) - {"type", "id"}:
            yield Problem((*path, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores {key!r}", False)


def unique(everything: list[tuple[Path, JsonObject]]) -> Iterator[Problem]:
    """Problems with custom ids and ids: their length, and that each is there once."""
    names: set[str] = set()
    ids: set[int] = set()
    for path, entry in everything:
        name = entry.get("custom_id")
        if name is not None:
            yield from length((*path, "custom_id"), name, 1, CUSTOM_ID)
            if name in names:
                yield Problem(
                    (*path, "custom_id"),
                    "COMPONENT_CUSTOM_ID_DUPLICATED",
                    f"Component custom id cannot be duplicated: {name!r}",
                )
            names.add(name)
        if entry.get("id"):
            if entry["id"] in ids:
                yield Problem(
                    (*path, "id"), "COMPONENT_DUPLICATE_ID", f"id {entry['id']} is used twice"
                )
            ids.add(entry["id"])


def totals(everything: list[tuple[Path, JsonObject]]) -> Iterator[Problem]:
    """Problems with the number of components, nested ones counted, and with all their text."""
    if len(everything) > TOTAL:
        yield Problem(
            ("components",),
            "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
            f"At most {TOTAL} components are allowed, nested ones counted; "
            f"there are {len(everything)}",
        )
    text = sum(len(entry.get("content") or "") for _, entry in everything)
    if text > TEXT_TOTAL:
        yield Problem(
            ("components",),
            "COMPONENT_MAX_TEXT_SIZE_EXCEEDED",
            f"The text of all components is {text} long; the limit is {TEXT_TOTAL}",
        )


def text_display(path: Path, entry: JsonObject) -> Iterator[Problem]:
    """The problems with a text display."""
    yield from required(path, entry, "content")
    yield from length((*path, "content"), entry.get("content"), 1, TEXT)


def select(path: Path, entry: JsonObject) -> Iterator[Problem]:
    """The problems with a select of any kind."""
    yield from required(path, entry, "custom_id")
    yield from length((*path, "placeholder"), entry.get("placeholder"), 0, PLACEHOLDER)
    yield from counts(path, entry, VALUES)
    if entry.get("type") == c.STRING_SELECT:
        yield from options(path, entry, 1, OPTIONS)
        most = bounds(entry)[1]
        if most > max(len(entry.get("options") or []), 1):
            yield Problem(
                (*path, "max_values"),
                "SELECT_COMPONENT_MAX_VALUES_OVER_OPTIONS",
                f"max_values {most} exceeds the {len(entry.get('options') or [])} options",
            )
        return
    chosen = entry.get("default_values") or []
    for index, value in enumerate(chosen):
        allowed = DEFAULTS[int(entry["type"])]
        yield from one_of((*path, "default_values", index, "type"), value.get("type"), allowed)
    if chosen:
        yield from length((*path, "default_values"), chosen, *bounds(entry))


def bounds(entry: JsonObject, most: int = 1) -> tuple[int, int]:
    """``min_values`` and ``max_values``, or their defaults: 1 and ``most``."""
    least, highest = entry.get("min_values"), entry.get("max_values")
    return (1 if least is None else int(least)), (most if highest is None else int(highest))


def counts(path: Path, entry: JsonObject, highest: int, most: int = 1) -> Iterator[Problem]:
    """Problems with ``min_values`` and ``max_values``; ``most`` is the default of the latter."""
    yield from number((*path, "min_values"), entry.get("min_values"), 0, highest)
    yield from number((*path, "max_values"), entry.get("max_values"), 1, highest)
    least, upper = bounds(entry, most)
    if least > upper:
        yield Problem(
            (*path, "min_values"),
            "SELECT_COMPONENT_MIN_GREATER_THAN_MAX",
            f"min_values {least} is greater than max_values {upper}",
        )


def options(path: Path, entry: JsonObject, least: int, most: int) -> Iterator[Problem]:
    """Problems with the options of a string select, a radio group or a checkbox group."""
    offered = entry.get("options") or []
    yield from length((*path, "options"), offered, least, most)
    seen: set[str] = set()
    for index, option in enumerate(offered):
        where = (*path, "options", index)
        for key in ("label", "value"):
            yield from required(where, option, key)
            yield from length((*where, key), option.get(key), 1, OPTION_TEXT)
        yield from length((*where, "description"), option.get("description"), 0, OPTION_TEXT)
        if option.get("value") in seen:
            yield Problem(
                (*where, "value"),
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                f"The specified option value is already used: {option.get('value')!r}",
            )
        seen.add(str(option.get("value")))
    upper = {c.RADIO: 1, c.CHECKBOXES: bounds(entry, most)[1]}.get(
        int(entry.get("type") or 0), bounds(entry)[1]
    )
    if sum(1 for option in offered if option.get("default")) > upper:
        yield Problem((*path, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULTS", "Too many defaults")


# Rules of messages.


def check(rows: list[JsonObject], *, v2: bool, filenames: tuple[str, ...]) -> Iterator[Problem]:
    """The problems with the ``components`` of a message body; ``filenames``: its files."""
    everything = list(c.walk(rows))
    if not v2:
        yield from length(("components",), rows, 0, ROWS)
    yield from places(rows, TOP if v2 else LEGACY_TOP, NESTING)
    yield from totals(everything)
    yield from unique(everything)
    yield from keys(everything, KEYS)
    for path, entry in everything:
        kind = entry.get("type")
        if kind == c.ROW:
            yield from _width(path, entry)
        elif kind == c.BUTTON:
            yield from _button(path, entry)
        elif kind in c.SELECTS:
            yield from select(path, entry)
        elif kind == c.TEXT:
            yield from text_display(path, entry)
        elif kind == c.GALLERY:
            yield from _gallery(path, entry)
        elif kind == c.THUMBNAIL:
            yield from length((*path, "description"), entry.get("description"), 1, ALT_TEXT)
        elif kind == c.SEPARATOR:
            yield from one_of((*path, "spacing"), entry.get("spacing"), (None, *SPACINGS))
        elif kind == c.CONTAINER:
            yield from number((*path, "accent_color"), entry.get("accent_color"), 0, COLOR_MAX)
        yield from _media(path, entry, filenames)


def _width(path: Path, entry: JsonObject) -> Iterator[Problem]:
    inside = [inner.get("type") for inner in entry.get("components") or []]
    if c.SELECTS.intersection(inside) and len(inside) > 1:
        yield Problem(
            (*path, "components"),
            "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
            "The specified component exceeds the maximum width: a select takes a whole row",
        )


def _button(path: Path, entry: JsonObject) -> Iterator[Problem]:
    style, label = entry.get("style"), entry.get("label")
    yield from one_of((*path, "style"), style, tuple(range(PRIMARY, PREMIUM + 1)))
    yield from length((*path, "label"), label, 0, LABEL_LENGTH)
    if style == PREMIUM:
        yield from required(path, entry, "sku_id")
        for key in ("custom_id", "label", "url", "emoji"):
            if entry.get(key):
                message = f"A premium button cannot have a {key}"
                yield Problem((*path, key), "BASE_TYPE_BAD_VALUE", message)
        return
    if style == LINK:
        yield from required(path, entry, "url")
        if entry.get("custom_id"):
            yield Problem(
                (*path, "custom_id"),
                "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                "A custom id and url cannot both be specified",
            )
        if url := entry.get("url"):
            yield from length((*path, "url"), url, 0, URL)
            yield from scheme((*path, "url"), str(url), ("http", "https", "discord"))
    else:
        yield from required(path, entry, "custom_id")
        if entry.get("url"):
            yield Problem((*path, "url"), "BUTTON_COMPONENT_INVALID_URL", "Only links have a url")
    if not (label or entry.get("emoji")):
        yield Problem(
            (*path, "label"),
            "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED",
            "A button needs a label or an emoji",
        )


def _gallery(path: Path, entry: JsonObject) -> Iterator[Problem]:
    items = entry.get("items") or []
    yield from length((*path, "items"), items, 1, GALLERY_ITEMS)
    for index, item in enumerate(items):
        where = (*path, "items", index)
        yield from length((*where, "description"), item.get("description"), 1, ALT_TEXT)
        for key in item.keys() - {"media", "description", "spoiler"}:
            yield Problem(
                (*where, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores {key!r}", False
            )


def _media(path: Path, entry: JsonObject, filenames: tuple[str, ...]) -> Iterator[Problem]:
    allowed = ("attachment",) if entry.get("type") == c.FILE else ("http", "https", "attachment")
    for inner, item in c.media(entry):
        where, url = (*path, *inner, "url"), str(item.get("url") or "")
        if not url:
            yield from required((*path, *inner), item, "url")
            continue
        yield from length(where, url, 0, MEDIA_URL)
        yield from scheme(where, url, allowed)
        if url.startswith(c.SCHEME) and url.removeprefix(c.SCHEME) not in filenames:
            yield Problem(
                where,
                "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                f"{url!r} is not a file of this message; it has: {', '.join(filenames) or 'none'}",
            )
