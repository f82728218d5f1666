"""The image that a report is about, for those who cannot go where it is: the owners."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import discord

from bot.chat.delivery import Delivery, only
from bot.chat.places import age_restricted
from bot.errors import JobFailed, Refused, StoreError
from bot.store import Discord, Job
from bot.texts.language import Say

if TYPE_CHECKING:
    from discord.abc import MessageableChannel  # which is not there at run time

log = logging.getLogger(__name__)


class ReportedPictures:
    """Shows them behind a spoiler, in messages that go when the image is deleted."""

    def __init__(self, client: discord.Client, delivery: Delivery) -> None:
        self._client = client
        self._delivery = delivery

    async def show(self, channel: "MessageableChannel", job: Job, say: Say, nonce: str) -> None:
        """Show the image of `job` there, or say why not. Raises what sending a message raises.

        nonce: the same for the same report and channel.
        """
        if job.deleted_at is not None:
            return
        try:
            await self._send(channel.id, job, say, nonce)
        except (Refused, JobFailed, StoreError) as error:
            # Nor does a report wait for a disk that is away.
            gated = isinstance(error, Refused) and error.code == "repeat.gated"
            log.info("job %s: not shown with its report: %s", job.id, error)
            code = "report.gated" if gated else "report.no_picture"
            await channel.send(content=say(code), allowed_mentions=only(None), nonce=nonce)

    async def _send(self, channel_id: int, job: Job, say: Say, nonce: str) -> None:
        origin = Discord.of(job.origin)
        if origin.withheld is not None:
            raise Refused("publish.withheld")
        afterwards = self._delivery.afterwards
        if not age_restricted(self._client.get_channel(channel_id)):
            await afterwards.check_elsewhere(job)
        covered = replace(job, origin=replace(origin, spoiler=True))
        heading = say("report.picture", job=job.id)
        await afterwards.send_again(covered, channel_id, heading, say, nonce=nonce)
