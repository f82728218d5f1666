"""A person's defaults, for commands in which they did not say."""

from collections.abc import Collection
from functools import partial

from bot.chat.here import Here
from bot.levels.defaults import with_defaults
from bot.request import Fill
from catalog import Catalog


def first_said(said: bool | None, default: bool) -> bool:
    """What was said, or else the default."""
    return default if said is None else said


def filling(
    here: Here, offered: Catalog, adapters_max: int, *, without: Collection[str] = ()
) -> Fill:
    """Puts the defaults that hold `here` into a draft. offered: what may be used here.

    without: see bot.levels.defaults.
    """
    return partial(
        with_defaults,
        rules=here.rules,
        catalog=offered,
        nsfw=here.nsfw,
        adapters_max=adapters_max,
        without=without,
    )
