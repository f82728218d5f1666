"""What a level shows of each setting: the values that hold there, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from bot.levels.fields import LevelFields, ServerFields
from bot.levels.level import Level
from bot.levels.rules import Caps, Rules

NARROWED: Final[Mapping[str, str]] = {
    "paint": "paint",
    "max_steps": "steps_max",
    "max_megapixels": "pixels_max",
    "max_count": "count_max",
    "max_cells": "cells_max",
    "max_upscale": "upscale_max",
    "buttons": "buttons",
    "reactions": "reactions",
    "welcome": "welcome",
    "keep_days": "keep_days",
    "image_check": "image_check",
    "forced_spoiler": "forced_spoiler",
    "ping": "ping",
    "spoiler": "spoiler",
    "private": "private",
    "compact": "compact",
}
"""Settings of which one value holds, by what it is called in the rules."""
EACH: Final = frozenset(
    {
        *("allow_models", "block_models", "allow_loras", "block_loras"),
        *("roles", "priority_roles", "quota", "cooldown", "forced_negative"),
    }
)
"""Settings of which those of all levels hold together. Of what is in neither, the nearest level
that has set something is shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A value, None for what is not set. source: its level; None for the bot's own."""

    value: Any
    source: Level | None


@dataclass(frozen=True, slots=True)
class SeenFrom:
    """What `level` sees: the rules there, and what it and those above it have set.

    caps: what the owner has set.
    """

    level: Level
    rules: Rules
    fields: Mapping[Level, LevelFields]
    caps: Caps

    @property
    def server(self) -> ServerFields:
        """What the server has set."""
        return cast("ServerFields", self.fields[Level.SERVER])

    def own(self, name: str) -> Any:
        """What the level itself has set; None for nothing."""
        value = getattr(self.fields[self.level], name)
        return None if value == () else value

    def shown(self, name: str) -> tuple[Shown, ...]:
        """What holds of the setting `name`: several values only where they hold together."""
        return self._each(name) if name in EACH else (self._one(name),)

    def holding(self, name: str) -> Any:
        """The one value that holds; None if there is none, or several do."""
        found = self.shown(name)
        return found[0].value if len(found) == 1 else None

    def _each(self, name: str) -> tuple[Shown, ...]:
        owners = getattr(self.caps, name) if name in ("quota", "cooldown") else None
        given = [Shown(owners, Level.OWNER)] if owners else []
        for level, fields in self.fields.items():
            if value := getattr(fields, name, None):
                given.append(Shown(value, level))
        return tuple(given) or (Shown(None, None),)

    def _one(self, name: str) -> Shown:
        if name == "language" and self.level is Level.PERSON:
            return Shown(self.rules.language, self.rules.source("language"))
        if name in NARROWED:
            value = self.rules.value(NARROWED[name])
            if name == "max_megapixels" and value is not None:
                value = value / 1e6
            return Shown(value, self.rules.source(NARROWED[name]))
        for level in reversed(Level):
            if level in self.fields:
                value = getattr(self.fields[level], name, None)
                if value not in (None, ()):
                    return Shown(value, level)
        return Shown(None, None)
