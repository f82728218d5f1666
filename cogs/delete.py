"""🗑️ Delete: the images of a result go, for good. The requester may, and moderators."""

import logging
from pathlib import Path

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.delivery import Delivery, mention
from bot.chat.errors import UNREACHABLE
from bot.chat.here import here_of
from bot.chat.ui.actions import DeleteId, EraseId, routed_button
from bot.errors import Refused
from bot.files.erasing import erase
from bot.store import Discord, Job, discord_person
from cogs.places import moderates
from cogs.results import Results

log = logging.getLogger(__name__)

Interaction = discord.Interaction[ImagenBot]


class Deleting:
    """Asks, then deletes: from the database, from the disk, and from Discord."""

    def __init__(self, results: Results, delivery: Delivery, images_dir: Path) -> None:
        self.results = results
        self._delivery = delivery
        self._images_dir = images_dir

    async def ask(self, interaction: Interaction, job: Job) -> None:
        """Whether they mean it. Raises Refused if they may not."""
        self._check(interaction, job)
        say = here_of(interaction).say
        view = discord.ui.View(timeout=None)
        danger = discord.ButtonStyle.danger
        view.add_item(routed_button(say("button.erase"), EraseId(job.id), "🗑️", danger))
        whose = Discord.of(job.origin).user_id
        own = whose == interaction.user.id
        text = say("delete.sure") if own else say("delete.sure_of", user=mention(whose))
        await interaction.response.send_message(text, view=view, ephemeral=True)

    async def delete(self, interaction: Interaction, job_id: str) -> None:
        job = await self.results.shown(interaction, job_id)
        self._check(interaction, job)
        await interaction.response.defer()
        deletions, by = self.results.store.deletions, discord_person(interaction.user.id)
        moderator = None if by == job.person else by
        if not await deletions.begin(job.id, moderator=moderator):
            # Users are quick: it may not be recorded yet that the result was delivered.
            await self._delivery.settled()
            if not await deletions.begin(job.id, moderator=moderator):
                job = await self.results.store.job(job.id)
                raise Refused("action.none" if job.deleted_at is None else "action.deleted")
        gone = await self.finish(job, interaction.user.id)
        say = here_of(interaction).say
        done = say("delete.done" if gone else "delete.still_shown")
        try:
            await interaction.edit_original_response(content=done, view=None)
        except UNREACHABLE as error:
            log.info("job %s: cannot confirm its deletion: %s", job.id, type(error).__name__)

    async def finish(self, job: Job, user_id: int) -> bool:
        """Delete what is marked as deleted; returns whether no message shows it any more.

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
        gone = await self._delivery.afterwards.take_down(job, notice)
        elsewhere = await self._delivery.afterwards.take_down_again(job)
        return gone and elsewhere

    def _check(self, interaction: Interaction, job: Job) -> None:
        own = job.person == discord_person(interaction.user.id)
        origin = Discord.of(job.origin)
        if not own and not moderates(interaction, origin):
            raise Refused("delete.foreign", user=origin.user_id)


class DeleteButton(Component[DeleteId]):
    ids = DeleteId

    def __init__(self, deleting: Deleting) -> None:
        self._deleting = deleting

    async def use(self, interaction: Interaction, custom_id: DeleteId) -> None:
        job = await self._deleting.results.shown(interaction, custom_id.job_id)
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
    bot.components.add(DeleteButton(deleting))
    bot.components.add(EraseButton(deleting))
