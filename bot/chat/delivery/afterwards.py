"""What becomes of a result's message later: it is taken down, or shown to everyone."""

import logging
from collections.abc import Sequence

import discord

from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.outbox import Away
from bot.chat.delivery.posts import MessageContent, only, send
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.results import Results
from bot.chat.delivery.sender import NO_WAY, Sender
from bot.errors import Refused
from bot.store import Discord, Job, Store

log = logging.getLogger(__name__)

REPORTED_TO_MAX = 10
"""Owners of a team who get a report."""


class Afterwards:
    """Changes the messages of results that were delivered."""

    def __init__(
        self, client: discord.Client, store: Store, sender: Sender, results: Results, gate: AgeGate
    ) -> None:
        self._client = client
        self._store = store
        self._sender = sender
        self._results = results
        self._gate = gate

    async def take_down(self, job: Job, notice: str | None) -> bool:
        """Delete the message, or put `notice` in its place; returns whether it no longer shows the
        images. One that only its person sees can be changed for 15 minutes."""
        post = await self._sender.post(job)
        if post is None:
            return False
        try:
            if notice is None:
                await post.delete()
            else:
                await post.edit(MessageContent(layout=lambda _: _notice(notice)))
        except Exception as error:
            meaning = refusal(error)
            if meaning is None:
                raise
            log.info("job %s: its message was not taken down: %s", job.id, short(error))
            return meaning is Refusal.CLOSED
        return True

    async def publish(self, job: Job) -> None:
        """Show a hidden result in the channel that it was asked for in.

        Raises Refused if it is shown already, or Discord does not let us.
        """
        origin = Discord.of(job.origin)
        if origin.channel_id is None or not await self._store.messages.unhide(job.id):
            raise Refused("publish.twice")
        try:
            shown = await self._post(job, origin.channel_id)
        except BaseException:
            await self._store.messages.hide(job.id)
            raise
        await self._store.messages.set(job.id, origin.channel_id, shown)

    async def _post(self, job: Job, channel_id: int) -> int:
        try:
            if (objection := await self._gate.objection(job)) is not None:
                raise Refused(objection)
            public = await self._store.job(job.id)
            content = await self._results.result(public, Discord.of(job.origin).upload_limit)
            channel = self._client.get_partial_messageable(channel_id)
            return (await send(channel, content, nonce=f"{job.id}-pub")).id
        except Away as error:
            raise Refused("publish.away") from error
        except discord.HTTPException as error:
            log.info("job %s: not published: %s", job.id, short(error))
            meaning = refusal(error) or Refusal.REJECTED
            raise Refused(NO_WAY.get(meaning, "publish.away")) from error

    async def report(self, channel_id: int | None, text: str) -> bool:
        """Send a report to the channel, or else to the bot's owners; returns whether it arrived."""
        arrived = False
        try:
            if channel_id is not None:
                await self._tell(self._client.get_partial_messageable(channel_id), text)
                return True
            for owner in await self._owners():
                await self._tell(await self._client.create_dm(owner), text)
                arrived = True
        except Exception as error:
            if refusal(error) is None:
                raise
            log.error("a report could not be sent: %s", short(error))
        return arrived

    async def _owners(self) -> Sequence[discord.abc.Snowflake]:
        application = await self._client.application_info()
        if application.team is not None:
            return application.team.members[:REPORTED_TO_MAX]
        return [application.owner]

    @staticmethod
    async def _tell(channel: discord.abc.Messageable, text: str) -> None:
        await channel.send(content=text, allowed_mentions=only(None))


def _notice(text: str) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(text))
    return view
