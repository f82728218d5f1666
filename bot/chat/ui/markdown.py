"""Text from users and files for Discord: Markdown escaped, and cut to length."""

import re
from collections.abc import Mapping, Sequence

from bot.request.unicode_text import straight

SPECIAL = re.compile(r"([\\*_~|`\[\]<>#])|^([^\S\n]*+)([-+])", re.MULTILINE)
VALUE_SHOWN = 200


def escaped(text: str) -> str:
    """`text` with Discord's Markdown escaped and direction overrides removed.

    Takes time linear in its length; discord.py's escape_markdown does not: a long run of brackets
    takes it a third of a second.
    """
    return SPECIAL.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", straight(text))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, with … where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown(text: str, limit: int) -> str:
    """`text` escaped and cut to `limit` characters, never in the middle of an escape."""
    whole = escaped(shortened(text, limit))
    if len(whole) <= limit:
        return whole
    cut = whole[: limit - 1]
    stray = len(cut) - len(cut.rstrip("\\"))
    return (cut[:-1] if stray % 2 else cut) + "…"


def plain(params: Mapping[str, object]) -> dict[str, object]:
    """`params` for a sentence that Discord renders: file names and the like, escaped.

    Long values are cut: an option may have 6,000 characters, the message that quotes it 2,000.
    """
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return escaped(shortened(value, VALUE_SHOWN))
    if not isinstance(value, Sequence):
        return value
    names: list[object] = []
    room = VALUE_SHOWN
    for name in map(str, value):
        room -= len(name)
        if room < 0 and names:
            return [*names, "…"]
        names.append(_plain(name))
    return names
