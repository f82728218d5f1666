"""The alternatives of a prompt, one by one, for comparing them."""

from itertools import product
from math import prod
from typing import Final

from bot.errors import InvalidRequest
from bot.request.dynamic.grammar import Choice, Part, parse

VARIANTS_MAX: Final = 16


def variants(prompt: str, name: str = "prompt") -> tuple[str, ...]:
    """Each combination of the alternatives in `prompt`, in order, the last one changing fastest.

    They are prompts as typed: what is drawn inside an alternative, wildcards, and choices that draw
    several stay as they are. Weights do not matter. Without alternatives, it is the prompt itself.
    Raises InvalidRequest if there are more than VARIANTS_MAX, or as `parse`.
    """
    return tuple(text for _, text in labelled_variants(prompt, name))


def labelled_variants(prompt: str, name: str = "prompt") -> tuple[tuple[str, str], ...]:
    """As `variants`, each with the alternatives that it was made of; "" where there are none."""
    parts = parse(prompt, name)
    ways = [
        tuple((text.strip(), text) for text in _alternatives(part)) or (("", part.source),)
        for part in parts
    ]
    if (count := prod(map(len, ways))) > VARIANTS_MAX:
        raise InvalidRequest(name, "dynamic.variants", value=count, max=VARIANTS_MAX)
    return tuple(
        (", ".join(filter(None, (label for label, _ in way))), "".join(text for _, text in way))
        for way in product(*ways)
    )


def _alternatives(part: Part) -> tuple[str, ...]:
    """What a choice of one among several puts side by side; empty for any other part."""
    if not isinstance(part, Choice) or not part.low == part.high == 1 or len(part.options) < 2:
        return ()
    return tuple("".join(each.source for each in option.parts) for option in part.options)
