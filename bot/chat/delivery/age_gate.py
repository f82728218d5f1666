"""AgeGate: what was asked for in an age-restricted channel is shown in no other."""

from collections.abc import Awaitable, Callable

import discord

from bot.chat.delivery.outbox import Away
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.places import age_restricted
from bot.errors import JobFailed, StoreError
from bot.request import is_gated
from bot.store import Discord, Job
from catalog import LiveCatalog


async def _nothing_flagged(job: Job) -> bool:
    return False


class AgeGate:
    """Whether a job's picture, its prompt and the names of its models may be shown where it was
    asked for.

    That an owner removes a channel's age restriction while a job waits must not make its picture
    public; nor is it sent as a direct message, for which Discord has no age restriction.

    flagged: whether a job has words that are only for age-restricted channels.
    """

    def __init__(
        self,
        client: discord.Client,
        catalog: LiveCatalog,
        flagged: Callable[[Job], Awaitable[bool]] = _nothing_flagged,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._flagged = flagged

    def applies(self, job: Job) -> bool:
        """Whether it was asked for in an age-restricted channel, or needs one by now."""
        return Discord.of(job.origin).age_restricted or is_gated(job.request, self._catalog.current)

    async def concerns(self, job: Job) -> bool:
        """The same, or has words that need one by now. Raises Away if that is not known now."""
        try:
            return self.applies(job) or await self._flagged(job)
        except StoreError as error:
            raise Away(str(error)) from error

    async def permit(self, job: Job) -> None:
        """Raise JobFailed if it could not be shown once it is there, as far as that is known."""
        if isinstance(job.origin, Discord) and self.hides(job):
            raise JobFailed(_why(job))

    def hides(self, job: Job) -> bool:
        """Whether its channel is known not to be age-restricted, although it should be."""
        return self.applies(job) and self._restricted(job) is False

    async def objection(self, job: Job) -> str | None:
        """The code of the sentence that says why it may not be shown; None if it may.

        Asks Discord about a channel that is not known. Raises Away.
        """
        if not await self.concerns(job):
            return None
        restricted = self._restricted(job)
        try:
            if restricted is None:
                restricted = await self._fetch_restricted(job)
        except Exception as error:
            match refusal(error):
                case None:
                    raise
                case Refusal.TRANSIENT:
                    raise Away(short(error)) from error
                case Refusal.FORBIDDEN:
                    return "delivery.forbidden"
                case _:
                    return "delivery.gone"
        return None if restricted else _why(job)

    def _restricted(self, job: Job) -> bool | None:
        """None for a channel that is not known: before the connection, or an archived thread."""
        if _never_restricted(job):
            return False
        channel = self._client.get_channel(Discord.of(job.origin).channel_id or 0)
        if channel is None or (isinstance(channel, discord.Thread) and channel.parent is None):
            return None
        return age_restricted(channel)

    async def _fetch_restricted(self, job: Job) -> bool:
        channel = await self._client.fetch_channel(Discord.of(job.origin).channel_id or 0)
        if isinstance(channel, discord.Thread):
            channel = await self._client.fetch_channel(channel.parent_id)
        return age_restricted(channel)


def _why(job: Job) -> str:
    return "delivery.where.gated" if _never_restricted(job) else "delivery.lifted"


def _never_restricted(job: Job) -> bool:
    """Direct messages never are, and a place without the bot does not count as such: it would not
    learn that the restriction was lifted."""
    origin = Discord.of(job.origin)
    return origin.guild_id is None or origin.absent
