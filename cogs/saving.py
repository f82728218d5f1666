"""Save a preset: which names and values it may have, where somebody is."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.here import here_of
from bot.errors import InvalidRequest, Refused
from bot.request import Draft, Named, Options
from bot.request.keeping import checked_name, checked_options
from bot.store.presets import OWN_MAX, SHARED_MAX, Kept, Presets
from cogs.composing import Composing

Interaction = discord.Interaction[ImagenBot]
SAMPLE = "x"
"""Stands for what will be typed, to try a preset with."""


class Saving:
    def __init__(self, presets: Presets, composing: Composing) -> None:
        self._presets = presets
        self._composing = composing

    async def save(
        self, interaction: Interaction, name: str, options: Options, *, replace: bool = False
    ) -> str:
        """Save a private preset, after trying it out; returns its name.

        replace: the person's own of that name. Raises InvalidRequest or Refused.
        """
        name, options = checked_name(name), checked_options(options)
        # As if it was typed first: then a mistake is named as such.
        typed = Draft.from_options({**options.given, "prompt": SAMPLE, "negative": None})
        await self._composing.composed(interaction, typed, ())
        draft = Draft(prompt=SAMPLE, preset=name)
        await self._composing.composed(interaction, draft, (Named(name, options),))
        person = here_of(interaction).place.person
        match await self._presets.save(person, name, options, replace=replace):
            case Kept.TAKEN:
                raise InvalidRequest("name", "presets.taken", value=name)
            case Kept.FULL:
                raise Refused("presets.full", max=OWN_MAX)
        return name

    async def share(self, interaction: Interaction, own: Named, *, replace: bool) -> None:
        """Give the server a copy. Raises InvalidRequest or Refused."""
        place = here_of(interaction).place
        if place.community is None:
            raise Refused("presets.no_server")
        kept = await self._presets.save(
            place.person, own.name, own.options, community=place.community, replace=replace
        )
        match kept:
            case Kept.TAKEN:
                raise InvalidRequest("name", "presets.taken_here", value=own.name)
            case Kept.FULL:
                raise Refused("presets.full_here", max=SHARED_MAX)

    @classmethod
    def of(cls, bot: ImagenBot) -> "Saving":
        return cls(bot.services.backend.store.presets, Composing.of(bot))
