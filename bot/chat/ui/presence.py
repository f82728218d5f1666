"""What the bot's status on Discord says. Everyone in every server sees it."""

from collections.abc import Collection, Sequence
from typing import Final

from bot.chat.ui.markdown import seen, shortened
from bot.texts.language import Say
from catalog import Allowance, Catalog

STATE_MAX: Final = 128
"""Characters of a custom status that Discord shows."""
NAMES_SHOWN: Final = 2
NAME_SHOWN: Final = 40


def named_models(catalog: Catalog, loaded: Collection[str], allowed: Allowance) -> tuple[str, ...]:
    """Names of the loaded models that may stand where everyone sees them, in the catalog's order.

    catalog: what is offered. loaded: keys. allowed: what every server and channel allows.
    """
    if not loaded:
        return ()
    return tuple(
        model.name
        for model in catalog.offered_models(nsfw=False)
        if model.key in loaded and allowed.holds(model.key, model.tags)
    )


def presence_text(say: Say, models: Sequence[str], *, running: int, waiting: int) -> str:
    """One line without Markdown, e.g. `SDXL Base · 3 waiting`. models: names that may be said."""
    parts = []
    if models:
        names = [shortened(" ".join(seen(name).split()), NAME_SHOWN) for name in models]
        if len(names) > NAMES_SHOWN:
            names[NAMES_SHOWN:] = ["…"]
        parts.append(", ".join(names))
    if waiting:
        parts.append(say("presence.waiting", count=waiting))
    else:
        parts.append(say("presence.busy" if running else "presence.idle"))
    return shortened(" · ".join(parts), STATE_MAX)
