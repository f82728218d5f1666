"""The prompts that a comparison puts side by side."""

import re
from collections.abc import Sequence
from itertools import islice, product
from typing import Final

_CHOICE: Final = re.compile(r"\{([^{}]*\|[^{}]*)\}")


def variants(prompt: str, most: int) -> list[tuple[str, str]]:
    """Each way of choosing from the `{red|blue}` of a prompt: what was chosen, and the whole text.

    most: how many at most. Without a choice, there is none.
    """
    parts = _CHOICE.split(prompt)
    if len(parts) == 1:
        return []
    options = [[option.strip() for option in part.split("|")] for part in parts[1::2]]
    found = []
    for chosen in islice(product(*options), most):
        filled = [*parts]
        filled[1::2] = chosen
        found.append((", ".join(filter(None, chosen)) or "–", "".join(filled)))
    return found


def searched(prompt: str, values: Sequence[str]) -> list[str]:
    """The prompt with its first value replaced by each: AUTOMATIC1111's "Prompt S/R"."""
    return [prompt.replace(values[0], value) for value in values]
