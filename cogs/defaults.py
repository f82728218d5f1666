"""A person's defaults, for commands in which they did not say."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from bot.chat.here import Here
from bot.levels import Defaults
from bot.levels.defaults import with_defaults
from bot.request import Fill
from catalog import Catalog


def first_said(said: bool | None, default: bool) -> bool:
    """What was said, or else the default."""
    return default if said is None else said


def filling(
    here: Here,
    offered: Catalog,
    adapters_max: int,
    *,
    without: Collection[str] = (),
    within_limits: bool = False,
) -> Fill:
    """Puts the defaults that hold `here` into a draft. offered: what may be used here.

    without: see bot.levels.defaults. within_limits: only the model's own, as far as is allowed.
    """
    rules = replace(here.rules, defaults=Defaults()) if within_limits else here.rules
    return partial(
        with_defaults,
        rules=rules,
        catalog=offered,
        nsfw=here.nsfw,
        adapters_max=adapters_max,
        without=without,
    )
