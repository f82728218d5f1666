"""Plural forms, numbers and lists in each language: the rules of CLDR, through babel.

babel is imported when the first sentence needs a rule, not at start-up. language: the name of
a file in bot/texts, such as `de` or `pt-BR`; babel.UnknownLocaleError if CLDR has no such language.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from babel import Locale

Number: TypeAlias = int | float
Style: TypeAlias = Literal["and", "or"]

CATEGORIES: Final = frozenset({"zero", "one", "two", "few", "many", "other"})


@cache
def _locale(language: str) -> "Locale":
    from babel import Locale

    return Locale.parse(language, sep="-")


def category(language: str, count: Number) -> str:
    """The plural form that goes with `count`: one of CATEGORIES."""
    return _locale(language).plural_form(count)


def number(language: str, value: Number, decimals: int | None = None) -> str:
    """`value` as people write it: 1,000.5 in English, 1.000,5 in German.

    decimals: exact number of digits after the point; None for up to three, as needed.
    """
    from babel.numbers import parse_pattern

    locale = _locale(language)
    pattern = parse_pattern(locale.decimal_formats[None].pattern)
    if decimals is not None:
        pattern.frac_prec = (decimals, decimals)
    text: str = pattern.apply(value, locale)
    return text


def listing(language: str, names: Sequence[str], style: Style) -> str:
    """The names as one phrase: `a, b, and c`, or with style "or" `a, b, or c`."""
    from babel.lists import format_list

    return format_list(names, "or" if style == "or" else "standard", _locale(language))
