"""What a server, a channel and a person have set, and what therefore holds where they are."""

from bot.levels.levels import Levels
from bot.levels.place import Place
from bot.levels.rules import Rules

__all__ = ["Levels", "Place", "Rules"]
