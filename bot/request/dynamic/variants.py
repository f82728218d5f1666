"""The alternatives of a prompt, one by one, for comparing them."""

from itertools import product
from math import prod
from typing import Final

from bot.errors import InvalidRequest
from bot.request.dynamic.grammar import Choice, parse

VARIANTS_MAX: Final = 16


def variants(prompt: str, name: str = "prompt") -> tuple[str, ...]:
    """Each combination of the alternatives in `prompt`, in order, the last one changing fastest.

    They are prompts as typed: what is drawn inside an alternative, wildcards, and choices that draw
    several stay as they are. Weights do not matter. Without alternatives, it is the prompt itself.
    Raises InvalidRequest if there are more than VARIANTS_MAX, or as `parse`.
    """
    parts = parse(prompt, name)
    ways = [
        tuple("".join(each.source for each in option.parts) for option in part.options)
        if isinstance(part, Choice) and part.low == part.high == 1 and len(part.options) > 1
        else (part.source,)
        for part in parts
    ]
    if (count := prod(map(len, ways))) > VARIANTS_MAX:
        raise InvalidRequest(name, "dynamic.variants", value=count, max=VARIANTS_MAX)
    return tuple("".join(way) for way in product(*ways))
