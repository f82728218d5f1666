"""What holds for a person where they use the bot: language, age restriction, rules, offers."""

from dataclasses import dataclass
from typing import Any

import discord

from bot.chat.places import age_restricted
from bot.levels import Levels, Place, Rules
from bot.store import discord_community, discord_person
from bot.texts.language import Say, Texts
from catalog import Catalog


@dataclass(frozen=True, slots=True)
class Here:
    """locale, say: the person's language. nsfw: whether the channel is age-restricted."""

    place: Place
    locale: str
    say: Say
    nsfw: bool
    rules: Rules

    def offered(self, catalog: Catalog) -> Catalog:
        """`catalog` with what may be used here; what is only for age-restricted channels is still
        in it."""
        return self.rules.offered(catalog)


class FindHere:
    """Finds it out for an interaction. `await find_here(interaction)`."""

    def __init__(self, texts: Texts, levels: Levels) -> None:
        self._texts = texts
        self._levels = levels

    async def __call__(self, interaction: discord.Interaction[Any]) -> Here:
        place = place_of(interaction)
        rules = await self._levels.rules(place)
        locale = rules.language or str(interaction.locale)
        return Here(
            place=place,
            locale=locale,
            say=self._texts.speaker(locale),
            nsfw=age_restricted(interaction.channel),
            rules=rules,
        )


def place_of(interaction: discord.Interaction[Any]) -> Place:
    """Where, and by whom, the interaction was made; a thread counts as its parent."""
    channel, user = interaction.channel, interaction.user
    parent = channel.parent_id if isinstance(channel, discord.Thread) else None
    roles = user.roles if isinstance(user, discord.Member) else ()
    return Place(
        person=discord_person(user.id),
        community=None if interaction.guild_id is None else discord_community(interaction.guild_id),
        channel_id=parent or interaction.channel_id,
        roles=frozenset(role.id for role in roles),
    )
