"""Owners: the people whose application the bot is, as Discord says."""

import time
from collections.abc import Callable, Sequence

import discord
from discord import app_commands

KNOWN_FOR = 60.0
"""Seconds for which what Discord said suffices to suggest something; nothing is done by it."""
TOLD_MAX = 10
"""Owners of a team who are told something."""


class NotOwner(app_commands.CheckFailure):
    """Someone uses what only the owners may."""


class Owners:
    """The owner of the application; of a team's, the owner of the team and its accepted members
    who are admins or developers."""

    def __init__(self, client: discord.Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: Sequence[discord.abc.User] = ()
        self._asked_at = -KNOWN_FOR

    async def all(self) -> Sequence[discord.abc.User]:
        """Who they are now. Raises discord.HTTPException if Discord does not say."""
        application = await self._client.application_info()
        team = application.team
        if team is None:
            self._known = [application.owner]
        else:
            self._known = [member for member in team.members if _may(member, team)]
        self._asked_at = self._clock()
        return self._known

    async def include(self, user_id: int) -> bool:
        """Whether that person is one now. Raises as `all`."""
        return any(owner.id == user_id for owner in await self.all())

    async def included(self, user_id: int) -> bool:
        """The same as of a minute ago, for suggestions, which have to come at once."""
        if self._clock() - self._asked_at >= KNOWN_FOR:
            await self.all()
        return any(owner.id == user_id for owner in self._known)


def _may(member: discord.TeamMember, team: discord.Team) -> bool:
    accepted = member.membership_state is discord.TeamMembershipState.accepted
    roles = (discord.TeamMemberRole.admin, discord.TeamMemberRole.developer)
    return accepted and (member.id == team.owner_id or member.role in roles)
