"""Patterns: what they match, and how a mistake in one is explained."""

import pytest

from bot.errors import InvalidRequest
from bot.moderation.word_list import Blocked, check_entry
from tests.language import TEXTS
from tests.moderation.lists import hits, listed

MATCHES = [
    ("colou?r", "COLOR", "colouur"),
    ("young (girl|boy)s?", "young, boys", "young man"),
    ("ab+c", "xabbbcx", "ac"),
    ("a.c", "abc", "ac"),
    ("a.*z", "a to the z", "z to the a"),
    ("[abc]{3}", "cab", "ca"),
    ("[^abc]x", "dx", "ax"),
    ("[a-f]+9", "face9", "gh9"),
    (r"\bsix\b", "six of them", "sixth"),
    (r"\d\d", "42", "4"),
    (r"x\d{2,3}y", "x123y", "x1234y"),
    (r"\w\sb", "a, b", "ab"),
    ("t-shirt", "T shirt", "tshort"),
    (r"a\.b", "a(b", "ab"),
    ("привет", "ПРИВЕТ", "пока"),
    ("straße", "STRASSE", "strasse".replace("s", "z")),
    ("(?:ab|cd)e", "cde", "ce"),
    ("a{2}", "aa", "a"),
    ("x{0,2}y", "y", "x"),
]


@pytest.mark.parametrize(("pattern", "text", "other"), MATCHES)
def test_it_matches(pattern: str, text: str, other: str) -> None:
    words = listed(f"/{pattern}/")
    assert hits(words, text)
    assert not hits(words, other)


@pytest.mark.parametrize("text", ["b(lu)rb", "b\u200blurb", "ｂlurb", "bl<lora:x:1>urb", "bluɾb"])
def test_it_matches_what_is_spelt_otherwise(text: str) -> None:
    assert hits(listed("/blurb/"), text)


MISTAKES = {
    "(a": "words.pattern_open",
    "[a": "words.pattern_open",
    "a)": "words.pattern_closed",
    "*a": "words.pattern_repeat",
    "a{x}": "words.pattern_repeat",
    "a{1": "words.pattern_repeat",
    "a{2,1}": "words.pattern_bounds",
    "a{51}": "words.pattern_bounds",
    "a{999999999999}": "words.pattern_bounds",
    "(?=a)": "words.pattern_unknown",
    "(?i)a": "words.pattern_unknown",
    r"(a)\1": "words.pattern_unknown",
    "^a": "words.pattern_unknown",
    "a\\": "words.pattern_unknown",
    "[z-a]": "words.pattern_range",
    "a*": "words.pattern_empty",
    "(|a)": "words.pattern_empty",
    "": "words.pattern_empty",
    "(((((a{50}){50}){50}){50}){50})": "words.pattern_large",
    "((){50}){50}a{50}(b{50}){50}": "words.pattern_large",
    "(" * 21 + "a" + ")" * 21: "words.pattern_large",
    "a" * 201: "words.pattern_long",
}


@pytest.mark.parametrize("pattern", MISTAKES)
@pytest.mark.parametrize("language", ["en-US", "de", "fr"])
def test_a_mistake_is_explained(pattern: str, language: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_entry(Blocked(pattern, "pattern"))
    assert caught.value.code == MISTAKES[pattern]
    assert TEXTS.speaker(language)(caught.value.code, **caught.value.params)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("a", "words.short"),
        ("!?", "words.short"),
        ("*", "words.short"),
        ("a*b", "words.star"),
        ("a" * 101, "words.long"),
    ],
)
def test_a_word_that_cannot_be_looked_for_is_refused(word: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_entry(Blocked(word))
    assert caught.value.code == code
    assert TEXTS.speaker()(code, **caught.value.params)
