"""What Discord rejects in a message, checked here because the OpenAPI description does not.

Sources: https://docs.discord.com/developers/resources/message (content, embeds, attachments,
allowed mentions), https://docs.discord.com/developers/components/reference (components) and
https://docs.discord.com/developers/interactions/receiving-and-responding (callbacks).
All functions are pure: they take a body and return its problems.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from playground import limits_components
from playground.errors import Problem
from playground.state import MessageFlag

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

CONTENT = 2000
EMBEDS = 10
EMBED_TOTAL = 6000
FILES = 10
ALT_TEXT = 1024
REQUEST_BYTES = 25 * 1024 * 1024
AUTOCOMPLETE_CHOICES = 25
CHOICE_TEXT = 100

EMBED_TEXTS: dict[str, int] = {"title": 256, "description": 4096}
EMBED_PARTS: dict[tuple[str, str], int] = {("footer", "text"): 2048, ("author", "name"): 256}
FIELDS, FIELD_NAME, FIELD_VALUE = 25, 256, 1024

MESSAGE_KEYS = frozenset(
    [
        "content",
        "nonce",
        "enforce_nonce",
        "tts",
        "embeds",
        "allowed_mentions",
        "message_reference",
        "components",
        "sticker_ids",
        "attachments",
        "flags",
        "poll",
        "username",
        "avatar_url",
        "thread_name",
        "applied_tags",
    ]
)
EMBED_KEYS = frozenset(
    [
        "title",
        "type",
        "description",
        "url",
        "timestamp",
        "color",
        "footer",
        "image",
        "thumbnail",
        "video",
        "provider",
        "author",
        "fields",
        "flags",
    ]
)
ATTACHMENT_KEYS = frozenset(
    [
        "id",
        "filename",
        "title",
        "description",
        "content_type",
        "size",
        "url",
        "proxy_url",
        "height",
        "width",
        "ephemeral",
        "duration_secs",
        "waveform",
        "flags",
        "spoiler",
        "is_spoiler",
        "is_remix",
    ]
)
LEGACY = ("content", "embeds", "poll", "sticker_ids")
"""What a message with Components V2 cannot have."""
MENTION_KEYS = frozenset({"parse", "users", "roles", "replied_user"})


def too_long(path: Path, value: object, most: int, what: str = "in length") -> Iterator[Problem]:
    """A problem if ``value`` is text or a list longer than ``most``."""
    if isinstance(value, str | list) and len(value) > most:
        yield Problem(
            path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer {what}; it is {len(value)}."
        )


def unknown_keys(path: Path, value: JsonObject, known: Iterable[str]) -> Iterator[Problem]:
    """Problems for keys that Discord silently ignores: likely typos in the sender."""
    for key in value.keys() - set(known):
        yield Problem(
            (*path, key), "PLAYGROUND_UNKNOWN_KEY", f"Discord ignores the key {key!r}", False
        )


@dataclass(frozen=True)
class Before:
    """The message that a body edits: its files that stay, and what of it Components V2 excludes."""

    filenames: tuple[str, ...] = ()
    legacy: tuple[str, ...] = ()
    v2: bool = False


def check_message(
    body: JsonObject, *, filenames: tuple[str, ...] = (), before: Before | None = None
) -> list[Problem]:
    """The problems with a message body.

    ``filenames``: files uploaded with it. ``before``: what it edits, None for a new message.
    """
    return list(_message(body, filenames, before))


def uses_v2(body: JsonObject, before: Before | None) -> bool:
    """Whether the components are read as V2.

    The flag of a message cannot be removed, but an edit that says it has none is read without it:
    https://github.com/discord-net/Discord.Net/issues/3132.
    """
    if body.get("flags") is None:
        return before is not None and before.v2
    return bool(int(body["flags"]) & MessageFlag.COMPONENTS_V2)


def _message(
    body: JsonObject, filenames: tuple[str, ...], before: Before | None
) -> Iterator[Problem]:
    yield from unknown_keys((), body, MESSAGE_KEYS)
    flags = body.get("flags") or 0
    v2 = uses_v2(body, before)
    content, embeds = body.get("content"), body.get("embeds") or []
    yield from too_long(("content",), content, CONTENT)
    yield from too_long(("embeds",), embeds, EMBEDS)
    yield from check_embeds(embeds)
    yield from too_long(("nonce",), body.get("nonce"), 25)
    if body.get("enforce_nonce") and body.get("nonce") is None:
        yield Problem(("nonce",), "BASE_TYPE_REQUIRED", "enforce_nonce needs a nonce")
    yield from check_attachments(body, filenames)
    yield from check_allowed_mentions(body.get("allowed_mentions"))
    rows = body.get("components") or []
    names = (*filenames, *(before.filenames if before else ()))
    yield from limits_components.check(rows, v2=v2, filenames=names)
    for index, embed in enumerate(embeds):
        for part in ("image", "thumbnail", "video"):
            url = (embed.get(part) or {}).get("url") or ""
            if url.startswith("attachment://") and url.removeprefix("attachment://") not in names:
                # Discord accepts this and shows an empty frame.
                yield Problem(
                    ("embeds", index, part, "url"),
                    "PLAYGROUND_ATTACHMENT_NOT_FOUND",
                    f"{url!r} is not a file of this message; it has: {', '.join(names) or 'none'}",
                    False,
                )
    if v2 or (before is not None and before.v2):
        kept = [key for key in (before.legacy if before else ()) if key not in body]
        for key in LEGACY:
            if body.get(key) or key in kept:
                yield Problem(
                    (key,),
                    "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                    f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
                )
    if before is not None and flags & ~int(
        MessageFlag.SUPPRESS_EMBEDS
        | MessageFlag.COMPONENTS_V2
        | MessageFlag.EPHEMERAL
        | MessageFlag.SUPPRESS_NOTIFICATIONS
    ):
        yield Problem(("flags",), "MESSAGE_FLAGS_INVALID", f"flags {flags} cannot be set by edit")


def is_empty(body: JsonObject, filenames: tuple[str, ...], *, v2: bool = False) -> bool:
    """Whether a new message would show nothing (50006). With V2, files alone show nothing."""
    keys = ("content", "embeds", "components", "sticker_ids", "poll")
    if v2:
        return not body.get("components")
    text = str(body.get("content") or "").strip()
    return not (text or filenames or any(body.get(key) for key in keys[1:]))


def check_embeds(embeds: list[JsonObject]) -> Iterator[Problem]:
    """Check the lengths in embeds, and their total of 6000 characters."""
    total = 0
    for index, embed in enumerate(embeds):
        path: Path = ("embeds", index)
        yield from unknown_keys(path, embed, EMBED_KEYS)
        texts: list[tuple[Path, Any, int]] = [
            ((*path, key), embed.get(key), most) for key, most in EMBED_TEXTS.items()
        ]
        for (part, key), most in EMBED_PARTS.items():
            texts.append(((*path, part, key), (embed.get(part) or {}).get(key), most))
        fields = embed.get("fields") or []
        yield from too_long((*path, "fields"), fields, FIELDS)
        for number, field in enumerate(fields):
            for key, most in (("name", FIELD_NAME), ("value", FIELD_VALUE)):
                value = field.get(key)
                texts.append(((*path, "fields", number, key), value, most))
                if not str(value or "").strip():
                    yield Problem(
                        (*path, "fields", number, key), "BASE_TYPE_REQUIRED", "It is required"
                    )
        for where, text, most in texts:
            yield from too_long(where, text, most)
            total += len(text) if isinstance(text, str) else 0
    if total > EMBED_TOTAL:
        yield Problem(
            ("embeds",),
            "MAX_EMBED_SIZE_EXCEEDED",
            f"Embed size exceeds maximum size of {EMBED_TOTAL}; it is {total}",
        )


def check_attachments(body: JsonObject, filenames: tuple[str, ...]) -> Iterator[Problem]:
    """Check the number of files, the alt texts, and for duplicate ids."""
    if len(filenames) > FILES:
        yield Problem(
            ("files",), "BASE_TYPE_MAX_LENGTH", f"{len(filenames)} files, the limit is {FILES}"
        )
    listed = body.get("attachments") or []
    yield from too_long(("attachments",), listed, FILES)
    seen: set[str] = set()
    for index, entry in enumerate(listed):
        path: Path = ("attachments", index)
        yield from unknown_keys(path, entry, ATTACHMENT_KEYS)
        yield from too_long((*path, "description"), entry.get("description"), ALT_TEXT)
        if str(entry.get("id")) in seen:
            yield Problem(
                (*path, "id"), "ATTACHMENT_DUPLICATE_ID", f"id {entry.get('id')} is used twice"
            )
        seen.add(str(entry.get("id")))


def check_allowed_mentions(value: JsonObject | None) -> Iterator[Problem]:
    """https://docs.discord.com/developers/resources/message#allowed-mentions-object"""
    if not value:
        return
    path: Path = ("allowed_mentions",)
    yield from unknown_keys(path, value, MENTION_KEYS)
    parse = value.get("parse") or []
    for kind in parse:
        if kind not in ("users", "roles", "everyone"):
            yield Problem(
                (*path, "parse"),
                "BASE_TYPE_CHOICES",
                f"Value {kind!r} must be one of ('users', 'roles', 'everyone').",
            )
    for kind in ("users", "roles"):
        yield from too_long((*path, kind), value.get(kind), 100)
        if kind in parse and value.get(kind):
            yield Problem(
                (*path, "parse"),
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )


def check_choices(choices: list[JsonObject], option_type: int) -> list[Problem]:
    """The problems with autocomplete choices for an option of ``option_type`` (3, 4 or 10)."""
    problems = list(
        too_long(("data", "choices"), choices, AUTOCOMPLETE_CHOICES, "items in the list")
    )
    for index, choice in enumerate(choices):
        path: Path = ("data", "choices", index)
        name, value = choice.get("name"), choice.get("value")
        problems += unknown_keys(path, choice, {"name", "name_localizations", "value"})
        if not isinstance(name, str) or not name:
            problems.append(Problem((*path, "name"), "BASE_TYPE_REQUIRED", "A choice needs a name"))
        problems += too_long((*path, "name"), name, CHOICE_TEXT)
        problems += too_long((*path, "value"), value, CHOICE_TEXT)
        kinds: dict[int, type | tuple[type, ...]] = {3: str, 4: int, 10: (int, float)}
        if isinstance(value, bool) or not isinstance(value, kinds[option_type]) or value == "":
            problems.append(
                Problem(
                    (*path, "value"),
                    "BASE_TYPE_BAD_TYPE",
                    f"{value!r} does not fit an option of type {option_type}",
                )
            )
    return problems
