"""What Civitai says may be done with a model, in a few words."""

from collections.abc import Callable
from typing import Any, Final

_COMMERCIAL: Final = {"image": "sell images", "rent": "use in paid services", "sell": "sell it"}
"""Civitai's words (its API reference, `allowCommercialUse`), and what each allows."""


def permissions(get: Callable[[str], Any]) -> str:
    """get: returns a field's value by its plain name, or None. "" where nothing is said."""
    said = []
    if get("allownocredit") is False:
        said.append("credit the creator")
    uses = get("allowcommercialuse")
    if isinstance(uses, str):
        uses = uses.strip("{}").split(",")
    if isinstance(uses, list):
        known = {use.strip().casefold() for use in uses if isinstance(use, str)}
        allowed = [words for use, words in _COMMERCIAL.items() if use in known]
        said.append(f"you may {', '.join(allowed)}" if allowed else "no commercial use")
    if get("allowderivatives") is False:
        said.append("no merges")
    elif get("allowdifferentlicense") is False:
        said.append("merges under the same terms")
    return f"Civitai: {', '.join(said)}" if said else ""
