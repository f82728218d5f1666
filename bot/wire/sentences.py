"""Codes and parameters of sentences that an engine elsewhere wants people to be told."""

from collections.abc import Collection, Mapping
from typing import Final

from bot.errors import Param, WireError
from bot.texts.language import Texts
from bot.wire.checks import in_range, is_label
from bot.wire.codes import CODES

VALUE_MAX: Final = 200
"""Characters of one text among the values: a name, or why something cannot be read."""
NUMBER_MAX: Final = 2**53
PARAMS_MAX: Final = 20
TEXTS_MAX: Final = 100
"""In a list of names."""
NAME_MAX: Final = 40


def told(params: Mapping[str, Param]) -> dict[str, Param]:
    """`params` as they may be sent. What is in a file, and so in a text, may be anything."""
    lines: dict[str, Param] = {}
    for name, value in params.items():
        match value:
            case tuple():
                lines[name] = tuple(map(line, value))
            case str():
                lines[name] = line(value)
            case _:
                lines[name] = value
    return lines


def line(value: str) -> str:
    """It in one short line, without an address."""
    whole = " ".join(value.split()).replace("://", ":/ /")
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in whole)
    return shown if len(shown) <= VALUE_MAX else shown[: VALUE_MAX - 1] + "…"


def check_sentence(
    what: str,
    code: str,
    params: Mapping[str, Param],
    texts: Texts,
    *,
    allowed: Collection[str] = CODES,
) -> None:
    """Raise WireError unless `code` is one of `allowed`, and `params` complete its sentence in
    every language. Markdown in them is escaped where they are shown, as are those from here."""
    if code not in allowed:
        raise WireError(f"{what}: {ascii(code)[:80]} is no sentence of an engine")
    in_range(f"{what}: {code}: values", len(params), 0, PARAMS_MAX)
    for name, value in params.items():
        if not name.isidentifier() or len(name) > NAME_MAX:
            raise WireError(f"{what}: {code}: allowed are names of up to {NAME_MAX} characters")
        _check(f"{what}: {code}: {ascii(name)[1:-1]}", value)
    for language in texts.languages:
        try:
            texts.speaker(language)(code, **params)
        except Exception as error:  # what `str.format` raises depends on what is wrong
            reason = type(error).__name__
            raise WireError(f"{what}: {code}: its values do not fit ({reason})") from None


def _check(what: str, value: Param) -> None:
    if isinstance(value, tuple):
        in_range(f"{what}: texts", len(value), 0, TEXTS_MAX)
        for each in value:
            is_label(what, each, VALUE_MAX)
    elif isinstance(value, str):
        is_label(what, value, VALUE_MAX)
    else:
        in_range(what, value, -NUMBER_MAX, NUMBER_MAX)
