"""Codes and parameters of sentences that an engine elsewhere wants people to be told."""

from collections.abc import Mapping
from typing import Final

from bot.errors import Param, WireError
from bot.texts.language import Texts

VALUE_MAX: Final = 2_000
"""Characters of one value."""
PARAMS_MAX: Final = 20


def check_sentence(what: str, code: str, params: Mapping[str, Param], texts: Texts) -> None:
    """Raise WireError unless `code` names a sentence that `params` complete, in every language."""
    if not texts.has(code):
        raise WireError(f"{what}: {ascii(code)[:80]} is no sentence")
    if len(params) > PARAMS_MAX or not all(map(_is_short, params.values())):
        raise WireError(
            f"{what}: {code}: allowed are {PARAMS_MAX} values of {VALUE_MAX} characters"
        )
    for language in texts.languages:
        try:
            texts.speaker(language)(code, **params)
        except Exception as error:  # what `str.format` raises depends on what is wrong
            reason = type(error).__name__
            raise WireError(f"{what}: {code}: its values do not fit ({reason})") from None


def _is_short(value: Param) -> bool:
    if isinstance(value, tuple):
        return len(value) <= PARAMS_MAX and all(len(each) <= VALUE_MAX for each in value)
    return not isinstance(value, str) or len(value) <= VALUE_MAX
