"""🗑️ Delete: the images of a result go, for good. The requester may, and moderators."""

import logging
from pathlib import Path

import discord

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.delivery import Delivery, Removed, mention
from bot.chat.errors import UNREACHABLE
from bot.chat.here import here_of
from bot.chat.ui.actions import DeleteId, EraseId, routed_button
from bot.errors import Refused
from bot.files.erasing import erase
from bot.store import Discord, Job, discord_person
from cogs.places import moderates
from cogs.results import Results

log = logging.getLogger(__name__)


class Deleting:
    """Asks, then deletes: from the database, from the disk, and from Discord."""

    def __init__(self, results: Results, delivery: Delivery, images_dir: Path) -> None:
        self.results = results
        self._delivery = delivery
        self._images_dir = images_dir

    async def ask(self, interaction: Interaction, job: Job) -> None:
        """Whether they mean it. Raises Refused if they may not."""
        here = not self._may_delete(interaction, job)
        if here and not await self.moderated(interaction, job):
            raise Refused("delete.foreign", user=Discord.of(job.origin).user_id)
        say = here_of(interaction).say
        view = discord.ui.View(timeout=None)
        danger = discord.ButtonStyle.danger
        view.add_item(routed_button(say("button.erase"), EraseId(job.id), "🗑️", danger))
        whose = Discord.of(job.origin).user_id
        own = whose == interaction.user.id
        code = "delete.sure_here" if here else "delete.sure_of"
        text = say("delete.sure") if own else say(code, user=mention(whose))
        await interaction.response.send_message(text, view=view, ephemeral=True)

    async def delete(self, interaction: Interaction, job_id: str) -> None:
        job = await self.results.seen(interaction, job_id)
        if not self._may_delete(interaction, job):
            await self._take_down(interaction, job)
            return
        await interaction.response.defer()
        deletions, by = self.results.store.deletions, discord_person(interaction.user.id)
        moderator = None if by == job.person else by
        if not await deletions.begin(job.id, moderator=moderator):
            # Users are quick: it may not be recorded yet that the result was delivered.
            await self._delivery.settled()
            if not await deletions.begin(job.id, moderator=moderator):
                job = await self.results.store.job(job.id)
                raise Refused("action.none" if job.deleted_at is None else "action.deleted")
        removed = await self.finish(job, interaction.user.id)
        await _confirm(interaction, job, removed, "delete.still_shown")

    async def _take_down(self, interaction: Interaction, job: Job) -> None:
        """Only where others show it again, for those who moderate there: it stays its person's."""
        channels = await self.moderated(interaction, job)
        if not channels:
            raise Refused("delete.foreign", user=Discord.of(job.origin).user_id)
        await interaction.response.defer()
        await self.results.store.deletions.begin_elsewhere(
            job,
            channels,
            moderator=discord_person(interaction.user.id),
            community=here_of(interaction).place.community,
        )
        removed = await self._delivery.afterwards.take_down_again(job, channels)
        log.info("job %s: taken down where it was shown again", job.id)
        await _confirm(interaction, job, removed, "delete.not_here")

    async def moderated(self, interaction: Interaction, job: Job) -> frozenset[int]:
        """The channels of this server in which the result is shown again and this person may delete
        other people's messages."""
        again = await self.results.shown_again(interaction, job)
        return frozenset(
            place.channel_id
            for place in again
            if place.channel_id is not None and moderates(interaction, place)
        )

    async def finish(self, job: Job, user_id: int) -> Removed:
        """Delete what is marked as deleted; returns what became of the message that shows it
        longest.

        user_id: who deletes it; the message names them unless it is theirs.
        """
        log.info("job %s: deleted", job.id)
        await erase(self.results.store, self._images_dir, job.id)
        origin = Discord.of(job.origin)
        notice = None
        if origin.user_id != user_id:
            everyone = self.results.say_in(origin.locale)
            users = {"user": mention(user_id), "owner": mention(origin.user_id)}
            notice = everyone("delete.notice", **users)
        job = await self.results.store.job(job.id)  # its message may be another one by now
        removed = await self._delivery.afterwards.take_down(job, notice)
        return max(removed, await self._delivery.afterwards.take_down_again(job))

    @staticmethod
    def _may_delete(interaction: Interaction, job: Job) -> bool:
        """Whether they may delete the result itself."""
        own = job.person == discord_person(interaction.user.id)
        return own or moderates(interaction, Discord.of(job.origin))


async def _confirm(interaction: Interaction, job: Job, removed: Removed, never: str) -> None:
    """never: the code of what is said if Discord does not let us take everything down."""
    code = {Removed.NOW: "delete.done", Removed.LATER: "delete.later", Removed.NEVER: never}[
        removed
    ]
    try:
        await interaction.edit_original_response(content=here_of(interaction).say(code), view=None)
    except UNREACHABLE as error:
        log.info("job %s: cannot confirm its deletion: %s", job.id, type(error).__name__)


class DeleteButton(Component[DeleteId]):
    ids = DeleteId

    def __init__(self, deleting: Deleting) -> None:
        self._deleting = deleting

    async def use(self, interaction: Interaction, custom_id: DeleteId) -> None:
        job = await self._deleting.results.seen(interaction, custom_id.job_id)
        await self._deleting.ask(interaction, job)


class EraseButton(Component[EraseId]):
    ids = EraseId

    def __init__(self, deleting: Deleting) -> None:
        self._deleting = deleting

    async def use(self, interaction: Interaction, custom_id: EraseId) -> None:
        await self._deleting.delete(interaction, custom_id.job_id)


def deleting_of(bot: ImagenBot) -> Deleting:
    images_dir = bot.services.backend.settings.images_dir.absolute()
    return Deleting(Results.of(bot), bot.services.delivery, images_dir)


async def setup(bot: ImagenBot) -> None:
    deleting = deleting_of(bot)
    bot.components.add(DeleteButton(deleting), EraseButton(deleting))
