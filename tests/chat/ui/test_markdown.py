"""Text as Discord displays it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.ui.markdown import escaped, shown

MARKDOWN = st.text(alphabet="*_[]()<>#-\\ab\n `|~", max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *red* fox", r"a \*red\* fox"),
        ("[link](https://x)", r"\[link\](https://x)"),
        ("- list\n - more, 1-2", "\\- list\n \\- more, 1-2"),
        ("\u202eesrever\u202c \u2068x\u2069", "esrever x"),
        ("# title <@1> ~~no~~ ||hid||", r"\# title \<@1\> \~\~no\~\~ \|\|hid\|\|"),
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
