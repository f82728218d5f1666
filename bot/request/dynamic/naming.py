"""Which wildcards a template names."""

from bot.errors import InvalidRequest
from bot.request.dynamic.grammar import Choice, Parts, Wildcard, parse
from catalog.wildcard_index import Wildcards


def names_gated(text: str, wildcards: Wildcards) -> bool:
    """Whether `text` names a wildcard that is only for age-restricted channels."""
    try:
        return _gated(parse(text), wildcards)
    except InvalidRequest:
        return False


def _gated(parts: Parts, wildcards: Wildcards) -> bool:
    for part in parts:
        if isinstance(part, Choice):
            if any(_gated(option.parts, wildcards) for option in part.options):
                return True
        elif isinstance(part, Wildcard):
            offered = wildcards.find(part.pattern, nsfw=False)
            if not offered and wildcards.find(part.pattern, nsfw=True):
                return True
    return False
