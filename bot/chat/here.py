"""What holds for a person where they use the bot: language, age restriction, rules, offers."""

from dataclasses import dataclass, replace
from typing import Any, Final

import discord

from bot.chat.contexts import Context, Contexts, context_of, is_right, reaches
from bot.chat.known_roles import KnownRoles
from bot.chat.places import age_restricted
from bot.errors import Refused
from bot.levels import Levels, Place, Rules
from bot.queue.blocked import Blocked
from bot.settings.image_check import ImageCheck
from bot.store import Discord, discord_community, discord_person
from bot.texts.language import Say, Texts
from catalog import Catalog

KEPT: Final = "here"
"""Where an interaction keeps it, in its `extras`."""


@dataclass(frozen=True, slots=True)
class Here:
    """locale, say: the person's language. nsfw: whether the channel is age-restricted.

    context: the kind of place. absent: whether the bot can only answer the interaction there.
    """

    place: Place
    locale: str
    say: Say
    nsfw: bool
    rules: Rules
    context: Context = Context.SERVER
    absent: bool = False

    @property
    def image_check(self) -> ImageCheck:
        """What is to happen to images that are flagged: nothing in an age-restricted channel."""
        return "off" if self.nsfw else self.rules.image_check

    def offered(self, catalog: Catalog) -> Catalog:
        """`catalog` with what may be used here; what is only for age-restricted channels is still
        in it."""
        return self.rules.offered(catalog)

    def locale_of(self, *, hidden: bool) -> str:
        """The language of a job's messages. hidden: whether only the person sees them."""
        return self.locale if hidden else self.rules.public_language or self.locale


class FindHere:
    """Finds it out. The command tree does so for each interaction, before anything else."""

    def __init__(
        self,
        texts: Texts,
        levels: Levels,
        contexts: Contexts,
        roles: KnownRoles,
        blocked: Blocked,
    ) -> None:
        """roles: of people in places where Discord does not send them."""
        self._texts = texts
        self._levels = levels
        self._contexts = contexts
        self._roles = roles
        self._blocked = blocked

    async def __call__(self, interaction: discord.Interaction[Any]) -> None:
        """Find it out for an interaction, which keeps it for `here_of`.

        Raises StoreError, and Refused for a command in a place where none is offered, and in a
        server that the owner has blocked: not for what is about the person's own data.
        """
        context, absent = context_of(interaction), not reaches(interaction)
        # Where the bot is not, it would not learn that a channel's restriction was lifted.
        nsfw = age_restricted(interaction.channel) and not absent
        place, locale = place_of(interaction), str(interaction.locale)
        if context is not Context.SERVER:
            place = replace(place, roles=await self._roles.of(interaction.user.id))
        here = await self.at(place, locale, nsfw=nsfw)
        interaction.extras[KEPT] = replace(here, context=context, absent=absent)
        if is_right(interaction):
            return
        if interaction.type is discord.InteractionType.application_command:
            self._contexts.check(context)
        if self._blocked.server(place.community):
            raise Refused("queue.server_blocked")

    async def at(self, place: Place, locale: str, *, nsfw: bool) -> Here:
        """The same without an interaction. locale: unless the person has chosen another."""
        rules = await self._levels.rules(place)
        locale = rules.language or locale
        say = self._texts.speaker(locale, place.community)
        return Here(place, locale, say, nsfw, rules)

    async def roles_of(self, user_id: int) -> frozenset[int]:
        """The roles of a person in direct messages, as far as they matter and are known."""
        return await self._roles.of(user_id)


def here_of(interaction: discord.Interaction[Any]) -> Here:
    """What holds for the person of an interaction that has gone through the command tree."""
    here: Here = interaction.extras[KEPT]
    return here


def say_of(interaction: discord.Interaction[Any], texts: Texts) -> Say:
    """The same for its language alone, also where it could not be found out what holds."""
    here: Here | None = interaction.extras.get(KEPT)
    return here.say if here else texts.speaker(str(interaction.locale))


def place_of(interaction: discord.Interaction[Any]) -> Place:
    """Where, and by whom, the interaction was made; a thread counts as its parent."""
    user, guild_id = interaction.user, interaction.guild_id
    roles = user.roles if isinstance(user, discord.Member) else ()
    return Place(
        person=discord_person(user.id),
        community=None if guild_id is None else discord_community(guild_id),
        channel_id=parent_of(interaction.channel) or interaction.channel_id,
        roles=frozenset(role.id for role in roles),
    )


def place_in(channel: Any, asked: Discord, roles: frozenset[int]) -> Place:
    """The same for what was asked without an interaction. channel: None if it is not known."""
    return Place(
        person=asked.person,
        community=asked.community,
        channel_id=parent_of(channel) or asked.channel_id,
        roles=roles,
    )


def parent_of(channel: Any) -> int | None:
    """The ID of the channel that a thread belongs to; None for anything else."""
    return channel.parent_id if isinstance(channel, discord.Thread) else None
