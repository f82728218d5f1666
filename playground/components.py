"""Components: https://docs.discord.com/developers/components/reference.

What each kind may hold, what Discord fills in, and how a user's client finds the one to press.
What it rejects is in ``limits_components`` and, for forms, in ``limits_forms``.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT = 5, 6, 7, 8
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = 9, 10, 11, 12, 13, 14
CONTAINER, LABEL, FILE_UPLOAD, RADIO, CHECKBOXES, CHECKBOX = 17, 18, 19, 21, 22, 23
ENTITY_SELECTS = frozenset({USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT})
"""The selects whose options are the server's own users, roles or channels."""
SELECTS = ENTITY_SELECTS | {STRING_SELECT}
SCHEME = "attachment://"

Media = tuple[JsonObject, int | None]
"""A media object, and the size in bytes of the attachment it shows."""


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


def finish(rows: list[JsonObject], unfurl: Callable[[str], Media]) -> list[JsonObject]:
    """Convert components as sent to the form that Discord stores and returns.

    ``unfurl`` turns a media url (``attachment://name`` or a real one) into its media object and
    size.
    """
    return [_finish(entry, unfurl) for entry in numbered(rows)]


def numbered(rows: list[JsonObject]) -> list[JsonObject]:
    """The components with ids: their own, or else the next number that none of them has."""
    taken = {entry["id"] for _, entry in walk(rows) if entry.get("id")}
    numbers = (n for n in itertools.count(1) if n not in taken)

    def number(entry: JsonObject) -> JsonObject:
        done = entry | {"id": entry.get("id") or next(numbers)}
        if "components" in entry:
            done["components"] = [number(inner) for inner in entry["components"]]
        for key in ("accessory", "component"):
            if isinstance(entry.get(key), dict):
                done[key] = number(entry[key])
        return done

    return [number(entry) for entry in rows]


def _finish(entry: JsonObject, unfurl: Callable[[str], Media]) -> JsonObject:
    kind = entry.get("type")
    done = {key: value for key, value in entry.items() if value is not None}
    if "options" in done:
        done["options"] = [dict(option) for option in done["options"]]
    for holder in (done, *done.get("options", ())):
        if isinstance(holder.get("emoji"), dict):
            holder["emoji"] = {k: v for k, v in holder["emoji"].items() if v is not None}
    if "components" in entry:
        done["components"] = [_finish(inner, unfurl) for inner in entry["components"]]
    if isinstance(entry.get("accessory"), dict):
        done["accessory"] = _finish(entry["accessory"], unfurl)
    if kind in SELECTS:
        done.setdefault("min_values", 1)
        done.setdefault("max_values", 1)
        done.pop("required", None)
    elif kind == GALLERY:
        done["items"] = [
            {
                "media": unfurl(item["media"]["url"])[0],
                "description": item.get("description"),
                "spoiler": bool(item.get("spoiler")),
            }
            for item in entry["items"]
        ]
    elif kind == THUMBNAIL:
        done |= {
            "media": unfurl(entry["media"]["url"])[0],
            "description": entry.get("description"),
            "spoiler": bool(entry.get("spoiler")),
        }
    elif kind == FILE:
        shown, size = unfurl(entry["file"]["url"])
        done |= {
            "file": shown,
            "name": shown["url"].rsplit("/", 1)[-1].split("?", 1)[0],
            "size": size,
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
