"""Text as Discord displays it: whatever it says, it is only text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.chat.ui.markdown import code, codes, cut_off, escaped, one_line, plain, seen, shown

MARKDOWN = st.text(alphabet="*_[]()<>#-\\ab\n `|~", max_size=60)
PIECES = [
    *("[here](https://evil.example)", "https://evil.example/a_b", "http://x", "discord.gg/abc"),
    *("discord://-/settings", "<https://x.example>", "@everyone", "@here", "<@1234>", "<@!1234>"),
    *("<@&1234>", "<#1234>", "</imagine:1234>", "<:smile:1234>", "<t:1:R>", "<id:customize>"),
    *("`", "``", "```\n", "\\", "\\\\", "||", "**", "__", "~~", "# ", "## ", "-# ", "> ", ">>> "),
    *("- ", "+ ", "* ", "1. ", "23) ", "\n", "\r\n", "\r", "\u2028", " ", "\t", "x", "é", "1.2"),
    *("\u202e", "\u2066", "\u200b", "\u200f", "\ufeff", "\x00", "\x1b[31m", "\ud800", "\u00ad"),
    *("[", "](", ")", "[a]: ", "https:", "//", "@", "everyone", "<", ">", "discord.com", "/"),
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30)

# How Discord's client reads a message: what comes first wins, and escapes come first.
ESCAPE = r"\\[^0-9A-Za-z\s]"
LIVE = {
    "code": r"`+",
    "link": r"(?:https?|discord)://[^\s<]",
    "invite": r"discord(?:app)?\.(?:gg|com)/",
    "mention": r"<@[!&]?\d+>|<#\d+>|@(?:everyone|here)|<id:\w+>",
    "command": r"</[\w ]+:\d+>",
    "emoji": r"<a?:\w+:\d+>",
    "time": r"<t:-?\d+(?::\w)?>",
    "masked link": r"\[[^\]]*\]\(",
    "emphasis": r"[*_~|]",
    "block": r"(?m:^[^\S\n]*(?:#{1,3}|-#|[-+*]|>|>>>|\d+[.)])[^\S\n])",
}
FOUND = re.compile(f"{ESCAPE}|(?P<live>{'|'.join(LIVE.values())})")


def live(text: str) -> list[str]:
    """What Discord would render as something other than text."""
    found = [match for match in FOUND.finditer(text) if match.lastgroup]
    return [match[0] for match in found]


def test_the_judge_sees_what_is_live() -> None:
    assert len(live(" ".join(PIECES).replace("\\", ""))) > 30
    for piece in ("https://x", "[a](b", "@here", "<@1>", "`", "a\n- b", "x\n1. y", "-# x"):
        assert live(piece), piece


@given(HOSTILE, st.integers(2, 60))
@example("https://evil.example `[x](https://y) @everyone", 60)
@example("\\" * 61, 60)
def test_no_text_comes_alive(text: str, limit: int) -> None:
    told = [escaped(text), shown(text, limit), one_line(text, limit)]
    told += [cut_off(escaped(text), limit), str(plain({"a": text})["a"])]
    names = plain({"a": [text, text]})["a"]
    assert isinstance(names, list)
    told.append(", ".join(names))
    for said in told:
        assert live(said) == [], said
        assert live(f"x {said}") == [], said
        assert not re.search(r"(?<!\\)(?:\\\\)*\\$", said), said
    for one in (shown(text, limit), one_line(text, limit)):
        assert len(one) <= limit
    assert "\n" not in one_line(text)


@given(HOSTILE)
def test_a_code_span_ends_where_it_should(text: str) -> None:
    span = code(text)
    assert re.fullmatch(r"`[^`\n]+`", span)
    assert re.fullmatch(r"`[^`\n]+`(?:, (?:`[^`\n]+`|…))*", codes([text, "b", text], 60))


@given(st.lists(HOSTILE, min_size=1, max_size=50), st.integers(1, 400))
def test_spans_are_left_out_whole(words: list[str], room: int) -> None:
    spans = codes(words, room)
    assert len(spans) <= max(room, 102) + 3
    assert spans.count("`") % 2 == 0


@given(HOSTILE)
def test_nothing_unseen_is_left(text: str) -> None:
    unseen = re.compile("[\x00-\x08\x0b-\x1f\u200b\u200f\u2028-\u202e\u2066\ufeff]")
    for said in (seen(text), escaped(text), code(text), one_line(text)):
        assert not unseen.search(said.replace("@\u200b", "@"))
        said.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *red* fox", r"a \*red\* fox"),
        ("[link](https://x)", r"\[link\](https\://x)"),
        ("- list\n - more, 1-2", "\\- list\n \\- more, 1-2"),
        ("1. one\n 2) two, 3.5", "1\\. one\n 2\\) two, 3.5"),
        ("\u202eesrever\u202c \u2068x\u2069", "esrever x"),
        ("# title <@1> ~~no~~ ||hid||", r"\# title \<@1\> \~\~no\~\~ \|\|hid\|\|"),
        ("join discord.gg/abc, @everyone", "join discord.gg\\/abc, @\u200beveryone"),
        ("(a:1.2), 16:9, me@example.com", "(a:1.2), 16:9, me@example.com"),
        ("👩‍🚀 می‌خواهم", "👩‍🚀 می‌خواهم"),
    ],
)
def test_markdown_is_switched_off(text: str, expected: str) -> None:
    assert escaped(text) == expected


@given(MARKDOWN)
def test_nothing_else_is_changed(text: str) -> None:
    characters = iter(escaped(text))
    kept = [next(characters) if character == "\\" else character for character in characters]
    assert "".join(kept) == text


@given(MARKDOWN, st.integers(1, 30))
def test_what_is_cut_ends_whole(text: str, limit: int) -> None:
    cut = shown(text, limit)
    assert len(cut) <= limit
    bare = cut.removesuffix("…")
    assert (len(bare) - len(bare.rstrip("\\"))) % 2 == 0
    assert cut == escaped(text) or cut.endswith("…")
