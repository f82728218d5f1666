"""Who is next, and on which free lane: see bot.queue.policy.line."""

from bot.queue.policy.jobs import (
    ADAPTERS_AHEAD,
    LOOKAHEAD,
    OWED_FOR,
    PATIENCE,
    SWITCH,
    InPlace,
    Next,
    Waiting,
    missing,
)
from bot.queue.policy.line import AT_ONCE, Line
from bot.queue.policy.places import Able, Apart, Places

__all__ = (
    "ADAPTERS_AHEAD",
    "AT_ONCE",
    "LOOKAHEAD",
    "OWED_FOR",
    "PATIENCE",
    "SWITCH",
    "Able",
    "Apart",
    "InPlace",
    "Line",
    "Next",
    "Places",
    "Waiting",
    "missing",
)
