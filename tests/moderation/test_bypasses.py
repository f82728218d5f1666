"""What people write to get around a list, and what must not be taken for it."""

import pytest

from tests.moderation.lists import drawn_hits, hits, listed

WORDS = listed(
    *("zork", "ass", "cock", "sex", "red apple", "hent*", "вор", "裸", "山水", "42zork", "smør")
)

BYPASSES = {
    "as it is": "a zork here",
    "case": "ZoRK",
    "beside signs": "(zork), and more",
    "tag style": "big_zork_hat",
    "zero width": "z\u200bo\u200cr\u200dk",
    "soft hyphen": "zo\u00adrk",
    "byte order mark": "zor\ufeffk",
    "right to left": "\u202ezo\u202crk\u200f",
    "isolates": "z\u2066o\u2069rk",
    "variation selectors": "z\ufe0fork",
    "tag characters": "zo\U000e0061rk",
    "fillers": "z\u3164o\uffa0rk",
    "combining": "z\u0336o\u0336r\u0336k\u0336",
    "zalgo": "z\u0310\u0353o\u0344\u031ar\u0348k\u0301",
    "diacritics": "żórķ",
    "strokes": "ƶørk",
    "fullwidth": "ｚｏｒｋ",
    "mathematical": "𝔃𝕠𝗿𝘬",
    "circled": "ⓩⓞⓡⓚ",
    "black squares": "🆉🅾🆁🅺",
    "flags": "🇿🇴🇷🇰",
    "superscript": "ᶻᵒʳᵏ",
    "small capitals": "ᴢᴏʀᴋ",
    "Cyrillic": "zоrк",
    "Greek": "ζοrκ",
    "Armenian": "zօrk",
    "Cherokee": "ᏃorᏦ",
    "digits": "z0rk",
    "signs for letters": "$ex",
    "doubled sign": "a$$",
    "stretched": "zoooork",
    "stretched to the end": "zorkkkk",
    "dots": "z.o.r.k",
    "blanks": "z o r k",
    "commas": "z, o, r, k",
    "lines": "z\no\nr\nk",
    "a comma": "zo,rk",
    "an ideographic comma": "zo、rk",
    "each letter doubled": "zzoorrkk",
    "each letter doubled, with digits": "ZZ00rrkk",
    "underscores": "z_o_r_k",
    "mixed": "z.o r-k",
    "brackets": "z(o)r[k]",
    "brackets with weights": "(z:1.2)(o:0.8)(rk:1.1)",
    "escaped brackets": r"z\(o\)rk",
    "editing": "zo[r:k:0.5]k",
    "emoji": "z🍎o🍎r🍎k",
    "LoRA tag within": "zo<lora:ink:0.8>rk",
    "LoRA tag's name": "a fox <lora:zork:1>",
    "embedding's name": "embedding:zork",
    "BREAK": "zo BREAK rk",
    "AND": "zo AND rk",
    "pasted": "a fox\nNegative prompt: zork\nSteps: 20, Sampler: Euler a",
    "apostrophe": "zo'rk",
    "a phrase": "a red  apple",
    "a phrase in one": "redapple",
    "a phrase with signs": "red-(apple:1.2)",
    "a beginning": "hentzomething",
    "a capital I for l": "coCK",
    "Cyrillic word": "это ВОР",
    "Cyrillic word with Latin letters": "вoр",
    "without blanks between words": "全裸体",
    "blanks between letters that have none": "一 (山　水) 画",
    "blanks between three of them": "全 裸 体, fox",
    "with its digits": "42zork",
    "with its stroke": "smør",
    "without its stroke": "smor",
}


@pytest.mark.parametrize("case", BYPASSES)
def test_is_found(case: str) -> None:
    assert hits(WORDS, BYPASSES[case])


TEMPLATES = {
    "an alternative": "a {fox|zork}",
    "nested": "{a|{b|{c|zork}}}",
    "across a brace": "zo{r|x}k",
    "across two": "{z|y}o{x|r}k",
    "across nested ones": "z{x|{y|{o|a}}}rk",
    "with weights": "{3::fox|1::zork}",
    "drawn with a separator": "{2$$-$$zo|rk}",
    "bounds": "{1-2$$$$zo|rk}",
    "with brackets within": "z{(o:1.2)|a}rk",
    "a wildcard's line": "__lines__",
    "a wildcard of a wildcard": "__more__",
    "a wildcard within a word": "listed {__lines__|x}",
    "spelt out": "z {o|x} r k",
    "zero width": "z{\u200bo|x}rk",
    "Cyrillic": "z{о|x}rk",
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_is_found_before_anything_is_drawn(case: str) -> None:
    assert drawn_hits(WORDS, TEMPLATES[case])


def test_a_wildcard_can_be_the_letter_of_a_word() -> None:
    assert drawn_hits(listed("bad"), "b{__vowels__}d") == ["bad"]


INNOCENTS = (
    "class classic assassin assault glass bass grass compass passage assemble",
    "Scunthorpe Penistone Dickens Essex Sussex Middlesex",
    "cockatoo peacock cocktail Hancock cockpit shuttlecock",
    "grapefruit therapist sextet Essex",
    "zorkmid azork zorks",
    "a door, a pred apple, red apples",
    "as sure as can be, a s, as s sign",
    "plan b, a dog, 1girl, 2boys, 50mm f1.8, a 1:1 crop, 4k, 8k, sd15",
    "Sony a55 lens, 4 x 4",
    "(masterpiece:1.2), [red:green:0.5], BREAK, embedding:fine-hands",
    "enthralled, then sent",
    "воротник, договор",
    "1girl,solo,red hair,as,simple,so,rk800,class",
    "高山 水, 山 水色, 山, 水",
    "zzoork, zoorrkk, sseexy",
    "bedroom, good food, a moose",
)


@pytest.mark.parametrize("text", INNOCENTS)
def test_is_let_through(text: str) -> None:
    assert hits(WORDS, text) == []
    assert drawn_hits(WORDS, text) == []


@pytest.mark.parametrize(
    "template",
    ["zo{x|y}k", "{zo|rk}", "{2$$zo|rk}", "zork{s|y}", "__plain__", "__loop__", "{0::zork|a}"],
)
def test_what_no_draw_gives_is_let_through(template: str) -> None:
    assert drawn_hits(WORDS, template) == []


def test_words_that_differ_in_a_doubled_letter_are_told_apart() -> None:
    assert hits(listed("god"), "a good dog") == []
    assert hits(listed("raper"), "a rapper") == []
    assert hits(listed("as"), "an ass") == []


def test_a_doubled_letter_that_hardly_any_word_has_is_a_stretched_one() -> None:
    assert hits(listed("bad"), "baad") == ["bad"]
