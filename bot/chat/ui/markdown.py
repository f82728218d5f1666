"""Text from users and files for Discord: nothing in it is a link, a mention or Markdown.

One rule for prompts, names, file names, descriptions and trigger words: `shown` for text of several
lines, `one_line` for names, `code` for what people copy, `plain` for the parameters of a sentence,
and `seen` where Discord displays text as it is, such as in choices, footers and alternative texts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

CONTENT_MAX: Final = 2_000
"""Characters of a message (docs, resources/message)."""
VALUE_SHOWN = 200
CODE_SHOWN = 100

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, lone surrogates, and what is displayed as nothing. Not the joiners, which
emojis and several scripts need."""
_LINE_BREAKS: Final = re.compile(r"\r\n?|[\u2028\u2029\x85]")

_SPECIAL: Final = re.compile(
    r"""(?P<sign>[\\*_~|`\[\]<>#])
    | (?P<scheme>:)(?=//)
    | (?:(?<=discord\.gg)|(?<=discord\.com)|(?<=discordapp\.com))(?P<invite>/)
    | (?P<everyone>(?<=@)(?=everyone|here))
    | ^(?P<indent>[^\S\n]*+(?:\d{1,9}(?=[.)])|(?=[-+])))(?P<bullet>[-+.)])""",
    re.MULTILINE | re.IGNORECASE | re.VERBOSE,
)
_APART: Final = "\u200b"
"""Between the @ and the word: Discord looks for mentions before it removes backslashes."""


def seen(text: str) -> str:
    """`text` without control characters, direction marks and overrides, and invisible ones.

    Left open, an override would also reorder the bot's own words in a message (Trojan Source,
    CVE-2021-42574). Right-to-left scripts do not need any.
    """
    return _UNSEEN.sub("", _LINE_BREAKS.sub("\n", text))


def escaped(text: str) -> str:
    """`text` for a place where Discord renders Markdown: displayed as it is, without links.

    Takes time linear in its length; discord.py's escape_markdown does not: a long run of brackets
    takes it a third of a second.
    """
    return _SPECIAL.sub(_escape, seen(text))


def _escape(found: re.Match[str]) -> str:
    if found["everyone"] is not None:
        return _APART
    sign = found["sign"] or found["scheme"] or found["invite"] or found["bullet"]
    return f"{found['indent'] or ''}\\{sign}"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, with … where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown(text: str, limit: int) -> str:
    """`text` escaped and cut to `limit` characters, never in the middle of an escape.

    Text of which nothing can be seen becomes …, because Discord rejects empty fields.
    """
    whole = cut_off(escaped(shortened(text, limit)), limit)
    return whole if whole.strip() or not text else "…"


def cut_off(whole: str, limit: int) -> str:
    """The same for text that is escaped already."""
    if len(whole) <= limit:
        return whole
    kept = whole[: limit - 1]
    stray = len(kept) - len(kept.rstrip("\\"))
    return (kept[:-1] if stray % 2 else kept) + "…"


def cut_at_word(text: str, limit: int) -> str:
    """`text` escaped, at most `limit` characters of it, cut between two words if there are any."""
    whole = seen(text).strip() or "…"
    if len(whole) <= limit:
        return shown(whole, 4 * limit)
    cut = whole[:limit]
    head = cut.rsplit(None, 1)[0] if any(c.isspace() for c in cut.strip()) else cut
    return f"{escaped(head.rstrip(' ,;:.'))} …"


def one_line(text: str, limit: int = VALUE_SHOWN) -> str:
    """The same for a name or file name: all of it in one line."""
    return shown(" ".join(seen(text).split()) or text[:1], limit)


def code(text: str) -> str:
    """`text` in a code span, at most CODE_SHOWN characters of it. No span can hold a backtick."""
    inside = " ".join(seen(text).split()).replace("`", "'")
    return f"`{shortened(inside, CODE_SHOWN) or ' '}`"


def codes(texts: Iterable[str], room: int) -> str:
    """Code spans, separated by commas, as many as fit into `room` characters."""
    spans: list[str] = []
    for span in map(code, texts):
        room -= len(span) + 2
        if room < 1 and spans:
            spans.append("…")
            break
        spans.append(span)
    return ", ".join(spans)


def plain(params: Mapping[str, object]) -> dict[str, object]:
    """`params` for a sentence that Discord renders: file names and the like, escaped.

    Long values are cut: an option may have 6,000 characters, the message that quotes it 2,000.
    """
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return one_line(value)
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
