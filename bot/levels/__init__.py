"""What a server, a channel and a person have set, and what therefore holds where they are."""

from bot.levels.enforcing import (
    Admit,
    Admitted,
    Enforcing,
    Rechecking,
    admitted_as_it_is,
    enforce,
)
from bot.levels.level import Level
from bot.levels.levels import Levels
from bot.levels.place import Place
from bot.levels.resolving import resolve
from bot.levels.rules import Caps, Defaults, PlaceLimit, Rules

__all__ = [
    "Admit",
    "Admitted",
    "Caps",
    "Defaults",
    "Enforcing",
    "Level",
    "Levels",
    "Place",
    "PlaceLimit",
    "Rechecking",
    "Rules",
    "admitted_as_it_is",
    "enforce",
    "resolve",
]
